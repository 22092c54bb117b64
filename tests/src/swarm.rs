//! Agent programs that are processes of their own.

use crate::{Answer, Obstacle, Ready};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// One program that buys the same thing with many tasks at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swarm {
    /// What its purchases are called; each has its own idempotency key.
    pub name: String,
    /// The desk's address.
    pub desk: String,
    /// The agent's token.
    pub token: String,
    /// What is bought.
    pub good: String,
    /// How many tasks buy at once.
    pub tasks: usize,
}

impl Swarm {
    /// A swarm for a running desk.
    pub fn new(name: &str, ready: &Ready, token: &str, good: &str, tasks: usize) -> Swarm {
        let (desk, token, good) = (ready.url.clone(), token.to_owned(), good.to_owned());
        Swarm { name: name.to_owned(), desk, token, good, tasks }
    }

    /// Runs it as `program`, and answers what the desk said to each task.
    ///
    /// # Errors
    /// When a task was answered with a failure, or the program does not end in time.
    pub fn run(&self, program: &Path) -> Result<Vec<Value>, Obstacle> {
        let order = serde_json::to_string(self).map_err(|e| Obstacle::new(e.to_string()))?;
        let answer = Answer::of(Command::new(program), &order)?;
        match answer.done()? {
            Value::Array(answers) => Ok(answers.clone()),
            other => Err(Obstacle::new(format!("No list of answers: {other}"))),
        }
    }
}
