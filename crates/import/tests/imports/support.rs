//! Logs written by hand, and imports of them.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tollgate_import::{ImportError, ImportOptions, ImportPlan, ImportReport, LogFormat, LogSource, import};
use tollgate_routing::{Model, ModelPool, Prices};

/// A directory for logs and what is made of them.
pub(crate) struct Bench {
    directory: TempDir,
    pub(crate) plan: ImportPlan,
    pub(crate) options: ImportOptions,
    sources: Vec<LogSource>,
}

impl Bench {
    pub(crate) fn new(format: LogFormat) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("imported");
        let options = ImportOptions { format, is_strict: false, max_row_bytes: 1 << 16, out };
        let plan = ImportPlan { pool: Some(pool()), ..ImportPlan::default() };
        Self { directory, plan, options, sources: Vec::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Adds a log of this name.
    pub(crate) fn log(&mut self, name: &str, bytes: impl AsRef<[u8]>) -> &mut Self {
        let path = self.path().join(name);
        fs::write(&path, bytes).unwrap();
        self.sources.push(LogSource::File(path));
        self
    }

    /// Adds a log that is there.
    pub(crate) fn existing(&mut self, path: PathBuf) -> &mut Self {
        self.sources.push(LogSource::File(path));
        self
    }

    pub(crate) fn import(&self) -> Result<ImportReport, ImportError> {
        import(&self.sources, &self.plan, &self.options)
    }

    /// The message of an import that fails, without the directory; nothing is left behind.
    #[track_caller]
    pub(crate) fn refused(&self) -> String {
        let message = self.import().unwrap_err().to_string();
        assert!(!self.options.out.exists());
        assert!(!self.options.out.with_extension("partial").exists());
        self.without_directory(&message)
    }

    /// The skipped rows of an import, without the directory.
    #[track_caller]
    pub(crate) fn skipped(&self) -> Vec<String> {
        let report = self.import().unwrap();
        let lines = fs::read_to_string(self.options.out.join("skipped.jsonl")).unwrap();
        assert_eq!(lines.lines().count() as u64, report.skipped.values().sum::<u64>());
        let first = report.first_skipped.iter();
        first.map(|row| self.without_directory(&row.to_string())).collect()
    }

    fn without_directory(&self, message: &str) -> String {
        message.replace(&format!("{}/", self.path().display()), "")
    }
}

/// `small` at $1.5 and $2 per million tokens, `large` at $30 and $60.
pub(crate) fn pool() -> ModelPool {
    let model =
        |id, input, output| Model::new(id, Prices::per_million_usd(input, input, input, output).unwrap()).unwrap();
    ModelPool::new(vec![model("small", 1.5, 2.0), model("large", 30.0, 60.0)]).unwrap()
}

/// A step of a log: task, model, index, number of steps; 1,000 prompt and 10 completion tokens at the pool's price.
pub(crate) fn step(task: &str, model: &str, index: u32, n_steps: u32) -> String {
    let cost = if model == "large" { 0.0306 } else { 0.00152 };
    format!(
        "{{\"task_id\":\"{task}\",\"model\":\"{model}\",\"step_index\":{index},\"n_steps\":{n_steps},\
         \"observation\":\"seen {index}\",\"action\":\"do {index}\",\"prompt_tokens\":1000,\"completion_tokens\":10,\
         \"cost_usd\":{cost},\"token_source\":\"estimated\",\"terminal_reward\":1.0,\"success\":true}}\n"
    )
}

/// All steps of an episode.
pub(crate) fn episode(task: &str, model: &str, n_steps: u32) -> String {
    (0..n_steps).map(|index| step(task, model, index, n_steps)).collect()
}
