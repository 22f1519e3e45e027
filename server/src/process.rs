//! What the system lets this process have: files and addresses, asked once, at the start; and which of its threads go
//! first.

/// How many files may be open at once, where the system tells.
pub fn files() -> Option<u64> {
    limit("Max open files")
}

/// How many bytes of addresses the process may have, where that is bounded.
pub fn addresses() -> Option<u64> {
    limit("Max address space")
}

/// By how much a thread is put behind others that does what nobody waits for within milliseconds. Where processors are
/// contended it gets about a third of what another one gets, which is slower and never nothing; where they are not, all
/// it wants.
#[cfg(target_os = "linux")]
const BEHIND: i32 = 5;

/// Has this thread, and no other one, yield to others from now on. Called twice it yields more, and a thread cannot take
/// it back.
pub fn yield_to_others() {
    // Linux keeps a priority for each thread; elsewhere it is the process's, which is to keep its own.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(BEHIND) {
        tracing::debug!(%error, "a thread keeps its priority");
    }
}

#[cfg(target_os = "linux")]
fn limit(name: &str) -> Option<u64> {
    soft(&std::fs::read_to_string("/proc/self/limits").ok()?, name)
}

#[cfg(not(target_os = "linux"))]
fn limit(_: &str) -> Option<u64> {
    None
}

/// The soft limit in a table like that of `/proc/self/limits`; `None` where there is no limit.
#[cfg(any(target_os = "linux", test))]
fn soft(limits: &str, name: &str) -> Option<u64> {
    let values = limits.lines().find_map(|line| line.strip_prefix(name))?;
    values.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_from_their_table() {
        let table = "Limit                     Soft Limit           Hard Limit           Units     \n\
                     Max open files            4096                 524288               files     \n\
                     Max address space         unlimited            unlimited            bytes     \n";
        assert_eq!(soft(table, "Max open files"), Some(4096));
        assert_eq!((soft(table, "Max address space"), soft(table, "Max pets")), (None, None));
    }
}
