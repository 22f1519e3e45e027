//! Links in what somebody wrote: where they really lead.

/// A link that can be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// All of it; begins with `http://` or `https://`.
    pub(crate) url: String,
    /// The server that it leads to.
    pub(crate) host: String,
}

/// Links of one text that are offered.
const LINKS_MAX: usize = 20;
const SCHEMES: [&str; 2] = ["https://", "http://"];
/// What ends a sentence around a link rather than the link.
const BEHIND: [char; 12] = ['.', ',', ';', ':', '!', '?', ')', ']', '}', '\'', '*', '_'];

/// The links in `text`, in their order.
pub(crate) fn links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    let mut at = 0;
    while found.len() < LINKS_MAX {
        let Some(start) = next_scheme(text, at) else { break };
        let url = whole(&text[start..]);
        at = start + url.len().max(1);
        while !text.is_char_boundary(at) {
            at += 1;
        }
        found.extend(host(url).map(|host| Link { url: url.to_owned(), host: host.to_owned() }));
    }
    found
}

fn next_scheme(text: &str, from: usize) -> Option<usize> {
    text[from..].char_indices().map(|(at, _)| from + at).find(|at| scheme(&text[*at..]).is_some())
}

/// The scheme that `text` begins with, whatever its case.
fn scheme(text: &str) -> Option<&'static str> {
    SCHEMES
        .into_iter()
        .find(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

/// The link that `text` begins with. What a browser would read in another way than a person, a backslash, is no part.
fn whole(text: &str) -> &str {
    let ends = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '\\' | '`' | '\u{FFFD}')
    };
    let mut url = text.find(ends).map_or(text, |end| &text[..end]);
    while let Some(last) = url.chars().next_back().filter(|last| BEHIND.contains(last)) {
        // A bracket that was opened in the link is closed in it.
        let opened = |open: char| url.matches(open).count() >= url.matches(last).count();
        if matches!(last, ')' if opened('(')) || matches!(last, ']' if opened('[')) {
            break;
        }
        url = &url[..url.len() - last.len_utf8()];
    }
    url
}

/// The server of a link: what stands before an `@` is a name to log in with, however much it looks like a server.
fn host(url: &str) -> Option<&str> {
    let rest = &url[scheme(url)?.len()..];
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let server = authority.rsplit('@').next().unwrap_or_default();
    let host = match server.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => server.split(':').next().unwrap_or_default(),
    };
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_links_begin_end_and_lead() {
        let check = |text: &str, expected: &[(&str, &str)]| {
            let found = links(text);
            let found: Vec<(&str, &str)> =
                found.iter().map(|link| (link.url.as_str(), link.host.as_str())).collect();
            assert_eq!(found, expected, "{text:?}");
        };
        check("none, ftp://x.y, javascript:alert(1), http:/x", &[]);
        check("Log is at https://ci.example/run/4417", &[("https://ci.example/run/4417", "ci.example")]);
        check("(see http://a.b/c).", &[("http://a.b/c", "a.b")]);
        check("https://a.b/x_(y)", &[("https://a.b/x_(y)", "a.b")]);
        check("HTTPS://A.b:8443?q#f", &[("HTTPS://A.b:8443?q#f", "A.b")]);
        check(
            "https://bank.example@evil.example/",
            &[("https://bank.example@evil.example/", "evil.example")],
        );
        check("https://bank.example\\@evil.example/", &[("https://bank.example", "bank.example")]);
        check("https://[::1]:80/x", &[("https://[::1]:80/x", "::1")]);
        check("<https://a.b>\"http://c.d\"", &[("https://a.b", "a.b"), ("http://c.d", "c.d")]);
        check("https:// https://構.例/", &[("https://構.例/", "構.例")]);
        check("https://@", &[]);
        assert_eq!(links(&"http://a.b ".repeat(50)).len(), LINKS_MAX);
    }
}
