//! What stands over the rest: a frame in the middle, and what is in it.

use ratatui::layout::{Position, Rect};
use ratatui::style::Style;

use super::messages::tick_style;
use super::{Caret, Painter, field_view, menus};
use crate::event::Untrusted;
use crate::text::without_tabs;
use crate::text::wrap::{ellipsis, width, wrap};
use crate::tui::composer::{BOX_MAX, Composer};
use crate::tui::help;
use crate::tui::model::{Found, Model, Overlay, SERVER};
use crate::tui::passwords::Passwords;
use crate::tui::trusting;
use crate::tui::update::{MESSAGE_MAX, STEP, beside};

/// Columns of the keys in the help.
const KEYS: usize = 30;
/// Columns of a question, where the screen has them.
const COLUMNS: u16 = 54;

pub(crate) fn draw(model: &Model, overlay: &Overlay, painter: &mut Painter<'_>) -> Caret {
    match overlay {
        Overlay::Help { filter, chosen } => help(model, filter, *chosen, painter),
        Overlay::Jump { query, found, chosen } => jump(model, query, found, *chosen, painter),
        Overlay::Paste { text } => paste(model, text, painter),
        Overlay::Delete { name, password, on_password, by_hand } => {
            delete(model, name, password, *on_password, by_hand.is_some(), painter)
        }
        Overlay::Passwd(passwords) => self::passwords(model, passwords, painter),
        Overlay::Trust { untrusted, typed } => trust(model, untrusted, typed, painter),
        Overlay::Quit => quit(model, painter),
        Overlay::Waiting => waiting(model, painter),
        Overlay::Menu { n, chosen } => menus::menu(model, *n, *chosen, painter),
        Overlay::Link { links, chosen } => menus::link(model, links, *chosen, painter),
        Overlay::About { message, steps } => menus::about(model, message, steps.as_ref(), painter),
    }
}

/// Draws an empty frame in the middle. Returns what is inside of it.
pub(crate) fn frame(model: &Model, title: &str, columns: u16, rows: u16, painter: &mut Painter<'_>) -> Rect {
    let glyphs = model.prefs.glyphs;
    let (screen_columns, screen_rows) = model.size;
    let (columns, rows) = (columns.min(screen_columns), rows.min(screen_rows.saturating_sub(2)).max(2));
    let area = Rect::new((screen_columns - columns) / 2, (screen_rows - rows) / 2, columns, rows);
    let style = painter.theme.text();
    painter.cut(area);
    painter.fill(area, style);
    let [top_left, top_right, bottom_left, bottom_right] = glyphs.corners;
    let (first, last) = (Painter::row(area, 0), Painter::row(area, usize::from(rows) - 1));
    for (row, left, right) in [(first, top_left, top_right), (last, bottom_left, bottom_right)] {
        painter.line(row, 0, glyphs.rule, style);
        painter.put(row, 0, left, style);
        painter.put_right(row, right, style);
    }
    let title = ellipsis(title, usize::from(columns).saturating_sub(6), glyphs.ellipsis);
    painter.put(first, 2, &format!(" {title} "), painter.theme.accent());
    for row in 1..usize::from(rows) - 1 {
        painter.put(Painter::row(area, row), 0, glyphs.bar, style);
        painter.put_right(Painter::row(area, row), glyphs.bar, style);
    }
    Rect::new(area.x + 2, area.y + 1, columns.saturating_sub(4), rows - 2)
}

/// A field with a prompt on the first row of `area`, and the caret in it.
fn field(area: Rect, prompt: &str, typed: &Composer, painter: &mut Painter<'_>) -> Caret {
    let at = painter.put(area, 0, prompt, painter.theme.strong());
    let room = usize::from(area.width.saturating_sub(at));
    let (text, column) = field_view(typed, room);
    painter.put(area, at, &text, painter.theme.text());
    let x = area.x + at + u16::try_from(column).unwrap_or(0);
    (area.height > 0).then(|| Position::new(x.min(area.right().saturating_sub(1)), area.y))
}

/// Rows of a list that keep the chosen one in view: the first that is shown.
pub(super) fn first_shown(chosen: usize, rows: usize) -> usize {
    (chosen + 1).saturating_sub(rows.max(1))
}

pub(super) fn chosen_style(is_chosen: bool, row: Rect, painter: &mut Painter<'_>) -> Style {
    let style = if is_chosen { painter.theme.select() } else { painter.theme.text() };
    if is_chosen {
        painter.fill(row, style);
    }
    style
}

fn help(model: &Model, filter: &Composer, chosen: usize, painter: &mut Painter<'_>) -> Caret {
    let rows = help::rows_of(model, filter.text());
    let wanted = u16::try_from(help::rows_of(model, "").len()).unwrap_or(u16::MAX).saturating_add(3);
    let inner = frame(model, "Keys (type to filter, Esc closes)", 78, wanted, painter);
    let caret = field(Painter::row(inner, 0), ">", filter, painter);
    let space = usize::from(inner.height).saturating_sub(1);
    let first = first_shown(chosen, space);
    let keys = KEYS.min(usize::from(inner.width) / 2);
    for (at, line) in rows.iter().enumerate().skip(first).take(space) {
        let row = Painter::row(inner, 1 + at - first);
        let style = chosen_style(at == chosen, row, painter);
        let shown = ellipsis(&line.keys, keys.saturating_sub(1), model.prefs.glyphs.ellipsis);
        let look = line.tick.map_or(painter.theme.strong(), |state| tick_style(state, painter));
        painter.put(row, 0, &shown, style.patch(look));
        let room = usize::from(row.width).saturating_sub(keys);
        let text = ellipsis(&line.text, room, model.prefs.glyphs.ellipsis);
        painter.put(row, keys as u16, &text, style);
    }
    if rows.is_empty() {
        painter.put(Painter::row(inner, 1), 0, "nothing matches", painter.theme.dim());
    }
    caret
}

fn jump(model: &Model, query: &Composer, found: &[Found], chosen: usize, painter: &mut Painter<'_>) -> Caret {
    let wanted = u16::try_from(found.len()).unwrap_or(u16::MAX).saturating_add(4).max(6);
    let inner = frame(model, "Jump or run", 54, wanted, painter);
    let caret = field(Painter::row(inner, 0), ">", query, painter);
    let space = usize::from(inner.height).saturating_sub(2);
    let first = first_shown(chosen, space);
    for (at, line) in found.iter().enumerate().skip(first).take(space) {
        let row = Painter::row(inner, 2 + at - first);
        let style = chosen_style(at == chosen, row, painter);
        let (name, right) = match line {
            Found::Server => (SERVER.to_owned(), String::new()),
            Found::Chat { name, unread: 0, .. } => (name.clone(), String::new()),
            Found::Chat { name, unread, .. } => (name.clone(), format!("{unread} unread")),
            Found::Stranger(peer) => (format!("Message {}", peer.name), String::new()),
            Found::Command(command) => {
                let form = format!("/{} {}", command.name, command.arguments);
                (form.trim_end().to_owned(), beside(model, command))
            }
        };
        let room = usize::from(row.width).saturating_sub(width(&right) + 1);
        painter.put(row, 0, &ellipsis(&name, room, model.prefs.glyphs.ellipsis), style);
        painter.put_right(row, &right, style);
    }
    if found.is_empty() {
        painter.put(Painter::row(inner, 2), 0, "no such name", painter.theme.dim());
    }
    caret
}

/// Lines of the paste that are shown in its question.
const SAMPLE: usize = 3;

fn paste(model: &Model, text: &str, painter: &mut Painter<'_>) -> Caret {
    let count = text.lines().count();
    let mut lines = Vec::new();
    let mut keys: &[&str] = &["i insert    Esc cancel", "i insert  Esc"];
    if model.composer.text().len() + text.len() > BOX_MAX {
        lines.push(format!("{} kB are more than the box holds", text.len().div_ceil(1_000)));
        keys = &["Esc cancel"];
    } else if text.len() > MESSAGE_MAX {
        let over = (text.len() - MESSAGE_MAX) as f64 / 1_000.0;
        lines.push(format!("{over:.1} kB over the usual limit of a message"));
    } else if model.entry().is_some() && model.composer.is_empty() {
        keys = &["i insert    s send as one    Esc cancel", "i insert  s send  Esc", "i, s, or Esc"];
    }
    lines.extend(text.lines().take(SAMPLE).map(|line| without_tabs(line).into_owned()));
    if count > SAMPLE {
        lines.push(format!("{} {} more", model.prefs.glyphs.ellipsis, count - SAMPLE));
    }
    let title = format!("Paste {count} line{}?", if count == 1 { "" } else { "s" });
    question(model, &Question { title: &title, columns: COLUMNS, lines, fields: &[], keys }, painter)
}

fn quit(model: &Model, painter: &mut Painter<'_>) -> Caret {
    let text = match model.unsent.len() {
        0 => "Nothing is left to be sent.".to_owned(),
        1 => "1 message is not at the server yet. It is kept, and goes out the next time.".to_owned(),
        count => {
            format!("{count} messages are not at the server yet. They are kept, and go out the next time.")
        }
    };
    let lines = wrapped(model, &text, COLUMNS);
    let keys = &["y quit    n Esc stay", "y quit  Esc stay"];
    question(model, &Question { title: "Quit?", columns: COLUMNS, lines, fields: &[], keys }, painter)
}

fn waiting(model: &Model, painter: &mut Painter<'_>) -> Caret {
    let text = "They stay at the server until you fetch them, and what comes now waits behind them. /deliver does it later.";
    let lines = wrapped(model, text, COLUMNS);
    let keys: &[&str] = match model.held > STEP {
        true => &["Enter all    n next 50    Esc later", "Enter all  n next 50  Esc", "Enter, n, Esc"],
        false => &["Enter all    Esc later", "Enter all  Esc"],
    };
    let plural = if model.held == 1 { " waits" } else { "s wait" };
    let title = format!("{} message{plural}", model.held);
    question(model, &Question { title: &title, columns: COLUMNS, lines, fields: &[], keys }, painter)
}

fn delete(
    model: &Model,
    name: &Composer,
    password: &Composer,
    on_password: bool,
    by_hand: bool,
    painter: &mut Painter<'_>,
) -> Caret {
    let me = model.identity.as_ref().map_or("", |identity| identity.user.as_str());
    let text = format!("This deletes the account {me} and everything that waits for it, for good.");
    let masked = password.masked(0, model.prefs.glyphs.mask);
    let mut fields =
        vec![Field { prompts: &["Type its name:  ", "Name: "], typed: name, here: !on_password }];
    let mut keys: &[&str] = &["Enter delete    Esc cancel", "Enter delete Esc"];
    if !by_hand {
        fields.push(Field { prompts: &["Password, if any: ", "Pass: "], typed: &masked, here: on_password });
        keys = &["Tab next    Enter delete    Esc cancel", "Tab  Enter delete  Esc", "Tab, Enter, Esc"];
    }
    let columns = COLUMNS + 6;
    let lines = wrapped(model, &text, columns);
    let question = Question { title: "Delete this account?", columns, lines, fields: &fields, keys };
    self::question(model, &question, painter)
}

fn passwords(model: &Model, passwords: &Passwords, painter: &mut Painter<'_>) -> Caret {
    let mask = model.prefs.glyphs.mask;
    let masked = passwords.fields.each_ref().map(|typed| typed.masked(0, mask));
    let prompts: [&[&str]; 3] =
        [&["Password until now: ", "Old: "], &["New password: ", "New: "], &["The same again: ", "Again: "]];
    let fields: Vec<Field<'_>> = (0..)
        .zip(prompts.iter().zip(&masked))
        .map(|(at, (prompts, typed))| Field { prompts, typed, here: passwords.at == at })
        .collect();
    let columns = COLUMNS + 6;
    let lines = wrapped(model, "All other logins of this account end, on other machines as well.", columns);
    let keys = &["Tab next    Enter change    Esc cancel", "Tab  Enter change  Esc", "Tab, Enter, Esc"];
    let question = Question { title: "Another password", columns, lines, fields: &fields, keys };
    self::question(model, &question, painter)
}

fn trust(model: &Model, untrusted: &Untrusted, typed: &Composer, painter: &mut Painter<'_>) -> Caret {
    let lines = trusting::lines(untrusted, trusting::columns(model.size));
    let word = trusting::word(&untrusted.doubt).unwrap_or_default();
    let prompts = [format!("Type {word} to trust it: "), format!("{word}? ")];
    let prompts = [prompts[0].as_str(), prompts[1].as_str()];
    let field = Field { prompts: &prompts, typed, here: true };
    let (fields, keys): (&[Field<'_>], &[&str]) = match trusting::may_be_answered(model.size, untrusted) {
        true => (
            std::slice::from_ref(&field),
            &["Enter answer    Esc no, send nothing", "Enter answer   Esc no", "Enter, Esc"],
        ),
        false => (&[], &["Esc close; nothing was sent", "Esc"]),
    };
    let columns = trusting::COLUMNS;
    question(model, &Question { title: trusting::title(untrusted), columns, lines, fields, keys }, painter)
}

/// A question: what it says, what is to be filled in, and the keys that answer it in several lengths.
struct Question<'a> {
    title: &'a str,
    columns: u16,
    lines: Vec<String>,
    fields: &'a [Field<'a>],
    keys: &'a [&'a str],
}

struct Field<'a> {
    prompts: &'a [&'a str],
    typed: &'a Composer,
    /// It is typed in.
    here: bool,
}

/// Draws a question from its end: nobody can answer it without its keys and the field that is typed in. Then come the
/// other fields, as much of the text as there is room for, and blanks.
fn question(model: &Model, question: &Question<'_>, painter: &mut Painter<'_>) -> Caret {
    let Question { title, columns, lines, fields, keys } = question;
    let gaps = if fields.is_empty() { 1 } else { 2 };
    let wanted = lines.len() + fields.len() + gaps + 1;
    let inner = frame(model, title, *columns, u16::try_from(wanted + 2).unwrap_or(u16::MAX), painter);
    let (rows, room) = (usize::from(inner.height), usize::from(inner.width));
    let gap = usize::from(rows >= wanted);
    let fields: Vec<&Field<'_>> = fields.iter().filter(|field| field.here || rows > fields.len()).collect();
    let count = lines.len().min(rows.saturating_sub(1 + fields.len()));
    for (row, line) in lines.iter().take(count).enumerate() {
        let line = ellipsis(line, room, model.prefs.glyphs.ellipsis);
        painter.put(Painter::row(inner, row), 0, &line, painter.theme.text());
    }
    let mut caret = None;
    for (row, shown) in fields.iter().enumerate() {
        let prompt = fitting(shown.prompts, room / 2);
        let at = field(Painter::row(inner, count + gap + row), prompt, shown.typed, painter);
        caret = at.filter(|_| shown.here).or(caret);
    }
    painter.put(Painter::row(inner, rows.saturating_sub(1)), 0, fitting(keys, room), painter.theme.strong());
    caret
}

/// The longest of these wordings that fits into `columns` columns, else the shortest.
fn fitting<'a>(wordings: &[&'a str], columns: usize) -> &'a str {
    let fits = wordings.iter().find(|wording| width(wording) <= columns);
    fits.or(wordings.last()).copied().unwrap_or_default()
}

pub(super) fn wrapped(model: &Model, text: &str, columns: u16) -> Vec<String> {
    let columns = usize::from(model.size.0.min(columns).saturating_sub(4));
    wrap(text, columns).into_iter().map(|line| text[line].to_owned()).collect()
}
