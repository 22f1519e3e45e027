//! Where config files are, and the only reading and writing of them.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::file::{self, Remark};
use super::resolve::{Given, Source};
use super::table::TABLE;
use super::value::Value;
use super::{edit, value};
use crate::home::{HomeError, Lock, private_folder};
use crate::whole;

/// Bytes of a config file or a theme at most.
const FILE_MAX: u64 = 1 << 20;

/// The systems whose places differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    Linux,
    Mac,
    Windows,
}

impl System {
    /// The one this program runs on; every Unix but macOS has the places of Linux.
    pub(crate) const HERE: System = if cfg!(windows) {
        System::Windows
    } else if cfg!(target_os = "macos") {
        System::Mac
    } else {
        System::Linux
    };
}

/// Where a person's config is, and the machine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) config: PathBuf,
    /// It was named, so it has to be there.
    pub(crate) named: bool,
    /// None where `BELLHOP_HOME` holds everything.
    pub(crate) machine: Option<PathBuf>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("no config folder is known: set BELLHOP_HOME")]
    Unknown,
    #[error("cannot read {}: {error}", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("cannot write {}: {error}", path.display())]
    Write { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error("{} is being written by another program", .0.display())]
    Busy(PathBuf),
    #[error("{}:{}: {}", path.display(), remark.place, remark.sentence)]
    Content { path: PathBuf, remark: Remark },
}

impl Places {
    /// The places of this process.
    ///
    /// # Errors
    ///
    /// [`FileError::Unknown`] where neither a variable nor the platform names one.
    pub(crate) fn of_process() -> Result<Places, FileError> {
        Places::of(System::HERE, |name| std::env::var_os(name), Path::exists).ok_or(FileError::Unknown)
    }

    /// The places in an environment.
    pub(crate) fn of(
        system: System,
        variable: impl Fn(&str) -> Option<OsString>,
        exists: impl Fn(&Path) -> bool,
    ) -> Option<Places> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = set("BELLHOP_HOME");
        let machine = match (&home, system) {
            (Some(_), _) => None,
            (None, System::Windows) => {
                set("PROGRAMDATA").map(|folder| folder.join("bellhop").join("config.toml"))
            }
            (None, _) => Some(PathBuf::from("/etc/bellhop/config.toml")),
        };
        if let Some(config) = set("BELLHOP_CONFIG") {
            return Some(Places { config, named: true, machine });
        }
        let folder = match home {
            Some(home) => home,
            None => platform_folder(system, set, exists)?.join("bellhop"),
        };
        Some(Places { config: folder.join("config.toml"), named: false, machine })
    }

    /// The files that are there, read; the config file first.
    ///
    /// # Errors
    ///
    /// [`FileError::Read`] where one is there and cannot be read, or was named and is not there.
    pub(crate) fn read(&self) -> Result<Vec<Source>, FileError> {
        let mut sources = Vec::new();
        for (path, named) in
            std::iter::once((&self.config, self.named)).chain(self.machine.iter().map(|path| (path, false)))
        {
            match read(path) {
                Ok((bytes, shared)) => {
                    let layer = match file::text(&bytes) {
                        Ok(text) => file::parse(text),
                        Err(remark) => file::Layer { problems: vec![remark], ..file::Layer::default() },
                    };
                    sources.push(Source { path: path.clone(), layer, shared });
                }
                Err(error) if is_absent(&error) && !named => {}
                Err(error) => return Err(FileError::Read { path: path.clone(), error }),
            }
        }
        Ok(sources)
    }

    /// The files as they would be with `value` for a key of the config file, or without one.
    ///
    /// # Errors
    ///
    /// Where a file cannot be read, or is no TOML.
    pub(crate) fn read_with(&self, name: &str, value: Option<&Value>) -> Result<Vec<Source>, FileError> {
        let layer = file::parse(&self.edited(name, value)?);
        let mut sources = Places { named: false, ..self.clone() }.read()?;
        match sources.iter_mut().find(|source| source.path == self.config) {
            Some(source) => source.layer = layer,
            None => sources.insert(0, Source { path: self.config.clone(), layer, shared: false }),
        }
        Ok(sources)
    }

    /// Sets a key of the config file, or takes it out, and leaves the rest as it is.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or written, or is no TOML.
    pub(crate) fn set(&self, name: &str, value: Option<&Value>) -> Result<(), FileError> {
        let path = &self.config;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        private_folder(folder.unwrap_or(Path::new(".")))?;
        // What is written is what was read, but for one value: nobody else may write in between.
        let lock = Lock::wait_for(&whole::beside(path, ".lock"))?;
        let Some(_lock) = lock else { return Err(FileError::Busy(path.clone())) };
        let text = self.edited(name, value)?;
        whole::replace(path, &text).map_err(|error| FileError::Write { path: path.clone(), error })
    }

    /// The config file's text with another value.
    fn edited(&self, name: &str, value: Option<&Value>) -> Result<String, FileError> {
        let path = &self.config;
        let bytes = match read(path) {
            Ok((bytes, _)) => bytes,
            Err(error) if is_absent(&error) => Vec::new(),
            Err(error) => return Err(FileError::Read { path: path.clone(), error }),
        };
        let content = |remark| FileError::Content { path: path.clone(), remark };
        let text = file::text(&bytes).map_err(content)?;
        edit::set(text, name, value).map_err(content)
    }

    /// The text of a person's theme, or of the machine's, and its path; none where there is no such file.
    ///
    /// # Errors
    ///
    /// [`FileError`] where one is there and cannot be read.
    pub(crate) fn theme(&self, name: &str) -> Result<Option<(PathBuf, String)>, FileError> {
        if !value::is_name(name) {
            return Ok(None);
        }
        for config in std::iter::once(&self.config).chain(&self.machine) {
            let path = config.with_file_name("themes").join(format!("{name}.toml"));
            match read(&path) {
                Ok((bytes, _)) => {
                    return match file::text(&bytes) {
                        Ok(text) => Ok(Some((path, text.to_owned()))),
                        Err(remark) => Err(FileError::Content { path, remark }),
                    };
                }
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(FileError::Read { path, error }),
            }
        }
        Ok(None)
    }
}

/// What the variables of the table say. One that is empty says nothing.
pub(crate) fn variables() -> Given {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let given = TABLE.iter().filter_map(|key| {
        let text = set(key.variable?)?;
        Some((key.name, text.to_string_lossy().into_owned()))
    });
    Given { variables: given.collect(), ..Given::default() }
}

fn platform_folder(
    system: System,
    set: impl Fn(&str) -> Option<PathBuf>,
    exists: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    // A folder that is not absolute would be another one in every place a program is started from.
    let absolute = |name: &str| set(name).filter(|folder| system == System::Windows || folder.has_root());
    if system == System::Windows {
        return absolute("APPDATA");
    }
    let home = absolute("HOME");
    let xdg = absolute("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
    match system {
        System::Mac if !xdg.as_ref().is_some_and(|xdg| exists(&xdg.join("bellhop").join("config.toml"))) => {
            home.map(|home| home.join("Library").join("Application Support"))
        }
        _ => xdg,
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A file's bytes, and whether others may write it.
fn read(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    let file = File::open(path)?;
    let shared = may_others_write(&file)?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {FILE_MAX} bytes"),
        ));
    }
    Ok((bytes, shared))
}

#[cfg(unix)]
fn may_others_write(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    let found = file.metadata()?;
    Ok(found.is_file() && found.permissions().mode() & 0o022 != 0)
}

#[cfg(not(unix))]
fn may_others_write(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn where_the_config_is() {
        let check =
            |system, variables: &[(&str, &str)], there: &str, expected: Option<(&str, Option<&str>)>| {
                let find = |name: &str| {
                    variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
                };
                let places = Places::of(system, find, |path| path == Path::new(there));
                let found = places.map(|places| (places.config, places.machine));
                let expected =
                    expected.map(|(config, machine)| (PathBuf::from(config), machine.map(PathBuf::from)));
                assert_eq!(found, expected, "{variables:?}");
            };
        let etc = Some("/etc/bellhop/config.toml");
        use System::{Linux, Mac, Windows};
        check(Linux, &[("HOME", "/h")], "", Some(("/h/.config/bellhop/config.toml", etc)));
        check(Linux, &[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")], "", Some(("/x/bellhop/config.toml", etc)));
        check(
            Linux,
            &[("HOME", "/h"), ("XDG_CONFIG_HOME", "x")],
            "",
            Some(("/h/.config/bellhop/config.toml", etc)),
        );
        check(Linux, &[], "", None);
        let library = "/h/Library/Application Support/bellhop/config.toml";
        check(Mac, &[("HOME", "/h")], "", Some((library, etc)));
        let dot = "/h/.config/bellhop/config.toml";
        check(Mac, &[("HOME", "/h")], dot, Some((dot, etc)));
        check(
            Windows,
            &[("APPDATA", "/r"), ("PROGRAMDATA", "/p")],
            "",
            Some(("/r/bellhop/config.toml", Some("/p/bellhop/config.toml"))),
        );
        for system in [Linux, Mac, Windows] {
            check(system, &[("BELLHOP_HOME", "/b"), ("HOME", "/h")], "", Some(("/b/config.toml", None)));
        }
        check(Linux, &[("BELLHOP_CONFIG", "/c.toml"), ("BELLHOP_HOME", "/b")], "", Some(("/c.toml", None)));
        check(Linux, &[("BELLHOP_CONFIG", "/c.toml")], "", Some(("/c.toml", etc)));
        check(Linux, &[("BELLHOP_CONFIG", ""), ("BELLHOP_HOME", "/b")], "", Some(("/b/config.toml", None)));
    }

    #[test]
    fn a_value_is_written_as_a_whole_and_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("deep").join("config.toml");
        let places = Places { config: config.clone(), named: false, machine: None };
        assert_eq!(places.read().expect("nothing is there"), []);
        places.set("ui.mouse", Some(&Value::Bool(true))).expect("written");
        assert_eq!(fs::read_to_string(&config).expect("it is there"), "[ui]\nmouse = true\n");
        let files = fs::read_dir(folder.path().join("deep")).expect("a folder");
        let mut names: Vec<_> = files.map(|file| file.expect("a file").file_name()).collect();
        names.sort();
        assert_eq!(names, ["config.toml", "config.toml.lock"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&config).expect("it is there").permissions().mode() & 0o777, 0o600);
            assert!(!places.read().expect("read")[0].shared);
            fs::set_permissions(&config, fs::Permissions::from_mode(0o666)).expect("ours");
            assert!(places.read().expect("read")[0].shared);
            let link = folder.path().join("link.toml");
            std::os::unix::fs::symlink(&config, &link).expect("a link");
            let linked = Places { config: link.clone(), ..places.clone() };
            linked.set("ui.mouse", None).expect("written");
            assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
            assert_eq!(fs::read_to_string(&config).expect("it is there"), "[ui]\n");
        }
        fs::write(&config, "[ui\n").expect("ours");
        let error = places.set("ui.mouse", None).expect_err("no TOML").to_string();
        assert!(error.contains("config.toml:1:"), "{error}");
        assert_eq!(fs::read_to_string(&config).expect("it is there"), "[ui\n");
    }

    #[test]
    fn a_file_that_was_named_has_to_be_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let places = Places { config: folder.path().join("none.toml"), named: true, machine: None };
        assert!(places.read().expect_err("it is not").to_string().contains("none.toml"));
        fs::write(&places.config, vec![b'#'; 1 << 21]).expect("ours");
        assert!(places.read().expect_err("too large").to_string().contains("1048576 bytes"));
        fs::write(&places.config, b"\xff").expect("ours");
        assert_eq!(places.read().expect("read")[0].layer.problems.len(), 1);
    }

    /// Each wrote back what it had read, without what the other one had changed meanwhile.
    #[test]
    fn two_programs_change_their_own_values() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("config.toml");
        let places = Places { config: config.clone(), named: false, machine: None };
        let writers = ["a", "b"].map(|name| {
            let places = places.clone();
            std::thread::spawn(move || {
                for number in 0..20 {
                    let key = format!("account.{name}{number}.user");
                    places.set(&key, Some(&Value::Text("alice".into()))).expect("written");
                }
            })
        });
        for writer in writers {
            writer.join().expect("no panic");
        }
        let text = fs::read_to_string(&config).expect("it is there");
        assert_eq!(file::parse(&text).accounts.len(), 40, "{text}");
    }
}
