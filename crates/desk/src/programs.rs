//! Agent programs on this machine: which are here, and the desk's entry in their settings.
//!
//! A change is shown before it is made, and made only if it is still the one that was shown. Nothing
//! of it is in the books: an entry names an agent, and what that agent may do stands there already.

use crate::desk::Desk;
use crate::place::{Place, data_dir};
use crate::problem::{ErrorCode, bad_input};
use crate::view::{ConnectionPlan, Problem, ProgramRow};
use imprest_connect::{
    ConnectError, Found, Machine, Plan, Program, Server, ServerName, Standing, apply, find, found,
    http_snippet, standing, stdio_snippet, undo,
};
use imprest_domain::AgentName;
use imprest_ledger::Agent;
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// The list of what was written into whose settings, in the data folder.
pub fn connections_file(data_dir: &Path) -> PathBuf {
    data_dir.join("connections.json")
}

/// The entry `name` that starts `command` for an agent of the desk in `data_dir`. The folder is only
/// named where the command would not find it by itself; a variable of this process does not count,
/// because the agent program may be started elsewhere.
///
/// # Errors
/// [`ConnectError::Command`] for a path that cannot stand in settings.
pub fn mcp_server(
    name: ServerName,
    command: &Path,
    agent: AgentName,
    data_dir: &Path,
) -> Result<Server, ConnectError> {
    let server = Server::new(name, command, agent)?;
    let is_usual = std::env::var_os("IMPREST_DATA").is_none()
        && self::data_dir(None).is_ok_and(|usual| usual == data_dir);
    if is_usual { Ok(server) } else { server.on_data(data_dir) }
}

/// The command `imprest`: beside this program, else on the search path, else beside this program all
/// the same, where it is to be put.
fn command_path() -> PathBuf {
    let name = format!("imprest{}", std::env::consts::EXE_SUFFIX);
    let here = std::env::current_exe().unwrap_or_default().with_file_name(&name);
    if here.is_file() {
        return here;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(&name))
        .find(|command| command.is_file());
    on_path.unwrap_or(here)
}

impl Place {
    /// The entry that opens an agent's purse to a program.
    fn server(&self, agent: &AgentName) -> Result<Server, ConnectError> {
        let key = agent.key().parse().unwrap_or_else(|_| agent.clone());
        mcp_server(ServerName::default(), &command_path(), key, self.dir())
    }
}

impl Desk {
    /// The agent programs that are on this machine, and whether an agent is connected in them.
    ///
    /// # Errors
    /// When this user's home folder is not known, or the books cannot be read.
    pub async fn programs(&self) -> Result<Vec<ProgramRow>, Problem> {
        let agents = self.inner.ledger.agents().await?;
        aside(move || {
            let machine = machine()?;
            Ok(find(&machine).iter().map(|found| row(&machine, found, &agents)).collect())
        })
        .await
    }

    /// What would change in a program's settings if an agent were connected in it.
    ///
    /// # Errors
    /// `bad_input` for a program that is not here, `not_found` for an unknown agent, `conflict` for
    /// a revoked one, and what keeps the settings from being read.
    pub async fn connection_plan(
        &self,
        agent: String,
        program: String,
    ) -> Result<ConnectionPlan, Problem> {
        let plan = self.plan(&agent, &program).await?;
        Ok(ConnectionPlan {
            program: plan.program().word().into(),
            title: plan.program().title().into(),
            settings: plan.file().display().to_string(),
            needed: plan.is_needed(),
            replaces: plan.replaces(),
            diff: plan.diff().to_owned(),
        })
    }

    /// Connects an agent in a program, if the change is still the one that was shown.
    ///
    /// # Errors
    /// As [`Desk::connection_plan`]; `conflict` where the settings have changed since.
    pub async fn connect_program(
        &self,
        agent: String,
        program: String,
        diff: String,
    ) -> Result<Vec<ProgramRow>, Problem> {
        self.inner.need_presence()?;
        let plan = self.plan(&agent, &program).await?;
        if plan.diff() != diff {
            return Err(ConnectError::Changed { path: plan.file().to_owned() }.into());
        }
        if !command_path().is_file() {
            return Err(Problem::new(
                ErrorCode::Unavailable,
                "The command imprest, which agent programs start, is not beside this program.",
                "Install it there or on the search path, then try again.",
            ));
        }
        let record = connections_file(self.inner.place.dir());
        aside(move || Ok(apply(&plan, &record, Timestamp::now())?)).await?;
        self.programs().await
    }

    /// Takes the desk's entry out of a program's settings again.
    ///
    /// # Errors
    /// `bad_input` for an unknown program, `not_found` where nothing is connected, and what keeps
    /// the settings from being changed.
    pub async fn disconnect_program(&self, program: String) -> Result<Vec<ProgramRow>, Problem> {
        let program = known(&program)?;
        let record = connections_file(self.inner.place.dir());
        aside(move || {
            let name = ServerName::default();
            Ok(undo(&machine()?, program, &name, &record, Timestamp::now())?)
        })
        .await?;
        self.programs().await
    }

    async fn plan(&self, agent: &str, program: &str) -> Result<Plan, Problem> {
        let program = known(program)?;
        let agent = self.inner.ledger.find_agent(agent).await?;
        if agent.revoked {
            return Err(Problem::new(
                ErrorCode::Conflict,
                format!("{} is revoked, so nothing can be bought with it.", agent.name),
                "Choose another agent.",
            ));
        }
        let server = self.inner.place.server(&agent.name)?;
        aside(move || {
            let machine = machine()?;
            if found(&machine, program).is_none() {
                return Err(bad_input("Program", format!("{program} was not found here")));
            }
            Ok(Plan::new(&machine, program, server)?)
        })
        .await
    }

    /// The entry for a program that starts its servers itself, to be put in by hand; no secret.
    pub(crate) fn stdio_snippet(&self, agent: &Agent) -> Result<String, Problem> {
        Ok(stdio_snippet(&self.inner.place.server(&agent.name)?))
    }

    /// The same for a program that speaks streamable HTTP.
    pub(crate) fn http_snippet(&self, agent: &Agent) -> Result<String, Problem> {
        let url = self.endpoints().mcp_url.unwrap_or_default();
        Ok(http_snippet(&self.inner.place.server(&agent.name)?, &url))
    }
}

/// How a program stands to the desk, or why that cannot be told.
fn row(machine: &Machine, found: &Found, agents: &[Agent]) -> ProgramRow {
    let standing = standing(machine, found.program, &ServerName::default());
    let (state, agent, problem) = match standing {
        Ok(Standing::Ours { agent }) => ("connected", Some(agent), None),
        Ok(Standing::Free) => ("free", None, None),
        Ok(Standing::Taken) => ("taken", None, None),
        Err(error) => ("unreadable", None, Some(Problem::from(error).to_string())),
    };
    let whose = agent
        .as_deref()
        .and_then(|name| agents.iter().find(|agent| !agent.revoked && agent.name.key() == name));
    ProgramRow {
        program: found.program.word().into(),
        title: found.program.title().into(),
        settings: found.file.display().to_string(),
        state: state.into(),
        agent_id: whose.map(|agent| agent.id.to_string()),
        agent: whose.map(|agent| agent.name.to_string()).or(agent),
        problem,
    }
}

fn known(program: &str) -> Result<Program, Problem> {
    program.parse().map_err(|error| bad_input("Program", error))
}

fn machine() -> Result<Machine, Problem> {
    Machine::here().ok_or_else(|| {
        Problem::new(
            ErrorCode::Unavailable,
            "This user’s home folder is not known.",
            "Set HOME, then start the desk again.",
        )
    })
}

/// Files of other programs may lie on a slow disk, and must not hold up everything else.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Problem::new(ErrorCode::Internal, error.to_string(), "Try again.")),
    }
}
