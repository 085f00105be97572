//! Where the simulator and its Java are.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::ScienceWorldError;

/// What sets the simulator up, for error messages.
pub(crate) const SETUP_HINT: &str = "`cargo xtask setup scienceworld` installs the Python package `scienceworld` into .venv; Java 17 or newer comes from your system (Debian: `apt install default-jre-headless`)";

/// How to run the simulator. Every part has a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScienceWorldSettings {
    /// The simulator; without it, the JAR inside the installed Python package `scienceworld`.
    pub jar: Option<PathBuf>,
    /// The program `java`; without it, the one in `JAVA_HOME`, else the one in `PATH`.
    pub java: Option<PathBuf>,
    /// The Python whose packages are searched; without it, `.venv/bin/python`, then `python3`.
    pub python: Option<PathBuf>,
    /// The most memory of one JVM's heap. MiB.
    pub heap_mib: u32,
    /// How long a call may take before the JVM is given up. The longest one, the expert's path of a task, takes seconds.
    pub call_timeout: Duration,
    /// The most transitions that are remembered; beyond them the longest unused tasks are forgotten.
    pub max_transitions: usize,
    /// A directory where answers are kept from one process to the next; without it, each process asks anew.
    pub answers: Option<PathBuf>,
}

impl Default for ScienceWorldSettings {
    fn default() -> Self {
        Self {
            jar: None,
            java: None,
            python: None,
            heap_mib: 512,
            call_timeout: Duration::from_mins(1),
            max_transitions: 2_000_000,
            answers: None,
        }
    }
}

/// Programs found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installation {
    pub(crate) jar: PathBuf,
    pub(crate) java: PathBuf,
}

impl Installation {
    /// Looks for the parts that the settings do not name.
    pub(crate) fn find(settings: &ScienceWorldSettings) -> Result<Self, ScienceWorldError> {
        let jar = match &settings.jar {
            Some(jar) if jar.is_file() => jar.clone(),
            Some(jar) => return Err(ScienceWorldError::NoSimulator { searched: jar.display().to_string() }),
            None => find_jar(settings.python.as_deref())?,
        };
        // The JVM does not run in this program's directory.
        let jar = std::path::absolute(&jar).unwrap_or(jar);
        let java = settings.java.clone().unwrap_or_else(|| match std::env::var_os("JAVA_HOME") {
            Some(home) if Path::new(&home).join("bin/java").is_file() => Path::new(&home).join("bin/java"),
            _ => "java".into(),
        });
        let is_path = java.components().count() > 1;
        let java = if is_path { std::path::absolute(&java).unwrap_or(java) } else { java };
        Ok(Self { jar, java })
    }
}

/// The JAR in the first Python that has the package.
fn find_jar(python: Option<&Path>) -> Result<PathBuf, ScienceWorldError> {
    let candidates = python.map_or_else(
        || vec![PathBuf::from(".venv/bin/python"), PathBuf::from("python3")],
        |python| vec![python.to_owned()],
    );
    candidates.iter().find_map(|python| jar_of(python)).ok_or_else(|| ScienceWorldError::NoSimulator {
        searched: candidates.iter().map(|python| format!("`{}`", python.display())).collect::<Vec<_>>().join(" and "),
    })
}

/// Asks a Python where it keeps packages, without importing any.
fn jar_of(python: &Path) -> Option<PathBuf> {
    let script = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let output = Command::new(python).args(["-c", script]).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let packages = String::from_utf8(output.stdout).ok()?;
    let jar = Path::new(packages.trim()).join("scienceworld/scienceworld.jar");
    jar.is_file().then_some(jar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_package_the_error_says_what_to_install() {
        let settings = ScienceWorldSettings { python: Some("/nonexistent/python".into()), ..Default::default() };
        assert_eq!(
            Installation::find(&settings).unwrap_err().to_string(),
            format!("the simulator `scienceworld.jar` is not found in `/nonexistent/python`\nhint: {SETUP_HINT}")
        );
    }
}
