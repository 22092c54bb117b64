//! The agent's commands: the HTTP API from a shell, and the bridge for MCP.

use crate::args::{
    CallArgs, DoorArgs, FetchArgs, PaymentArgs, PaymentsArgs, QuoteArgs, RequestArgs, TransferArgs,
};
use crate::fault::{End, Fault};
use crate::link::Context;
use crate::screen::{
    Tone, WindowCells, cell, left, local_time, note, one_line, right, terminal_text, tone_of, toned,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use imprest_desk::owner;
use imprest_domain::PaymentId;
use imprest_gateway::wire::{
    BudgetAnswer, CallRequest, FetchAnswer, FetchRequest, FetchStatus, PaymentView, QuoteAnswer,
    ResponseView, TransferRequest, VerdictView,
};
use imprest_gateway::{Failure, FailureCode, HttpTeller, Teller, Token, stdio_bridge};
use serde_json::{Map, Value};
use std::io::Read;
use std::path::Path;
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// The variable that holds an agent's token.
const TOKEN_VARIABLE: &str = "IMPREST_TOKEN";
/// The variable that names the running desk's address.
const URL_VARIABLE: &str = "IMPREST_URL";
/// The largest body that is read from a file, in bytes; the desk takes no more in a request.
const MAX_BODY_BYTES: u64 = 2 * 1024 * 1024;
/// How long to look whether anything listens at the desk's address.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// A desk's door, opened with one agent's token.
struct Door {
    teller: HttpTeller,
    url: String,
}

impl Door {
    async fn open(context: &Context, args: &DoorArgs) -> Result<Door, Fault> {
        let token = token(context, args).await?;
        let url = match given_url(args) {
            Some(url) => url,
            None => {
                let running = context.running().await.ok_or_else(|| context.no_desk())?;
                running_url(&running).ok_or_else(|| context.no_desk())?
            }
        };
        Ok(Door { teller: HttpTeller::new(&url, &token)?, url })
    }

    /// A failure, told apart from there being no desk at all.
    async fn fault(&self, failure: Failure) -> Fault {
        if failure.code == FailureCode::Unavailable && !self.listens().await {
            return Fault::NoDeskAt { url: self.url.clone() };
        }
        for_a_shell(failure)
    }

    async fn listens(&self) -> bool {
        let Ok(url) = Url::parse(&self.url) else { return false };
        let Ok(addresses) = url.socket_addrs(|| None) else { return false };
        let connect = tokio::net::TcpStream::connect(addresses.as_slice());
        matches!(tokio::time::timeout(PROBE_TIMEOUT, connect).await, Ok(Ok(_)))
    }
}

/// The door words what to do for programs that speak HTTP; in a shell some of it is done otherwise.
fn for_a_shell(failure: Failure) -> Fault {
    let recovery = match failure.code {
        FailureCode::Unauthorized => {
            "Put the agent’s newest token in IMPREST_TOKEN, or ask the owner to rotate it."
        }
        FailureCode::BadRequest if failure.recovery.contains("openapi") => {
            "Correct the request; `imprest fetch --help` describes its form."
        }
        FailureCode::NotFound => "`imprest payments` lists your own.",
        _ => return Fault::Door(failure),
    };
    Fault::Door(Failure { recovery: recovery.to_owned(), ..failure })
}

/// The agent named wins over the variable: it was typed for this command.
async fn token(context: &Context, args: &DoorArgs) -> Result<Token, Fault> {
    if let Some(name) = &args.agent {
        if !context.has_books() {
            return Err(Fault::NoBooks { folder: context.folder.clone() });
        }
        return Ok(imprest_desk::agent_token(&context.folder, name).await?);
    }
    match std::env::var(TOKEN_VARIABLE).map(Zeroizing::new) {
        Ok(text) if !text.is_empty() => Ok(Token::parse(text.trim())?),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Fault::Token { what: "IMPREST_TOKEN holds no token." })
        }
        _ => Err(Fault::Token {
            what: "It is not known which agent asks: IMPREST_TOKEN is empty and --agent was not given.",
        }),
    }
}

fn given_url(args: &DoorArgs) -> Option<String> {
    let variable = || std::env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty());
    args.desk.clone().or_else(variable)
}

fn running_url(running: &owner::Running) -> Option<String> {
    running.http_url.clone().filter(|url| !url.is_empty())
}

/// `imprest mcp`: standard output carries the protocol and nothing else.
///
/// # Errors
/// [`Fault::Token`], and a broken conversation.
pub async fn mcp(context: &Context, args: &DoorArgs) -> Result<End, Fault> {
    let token = token(context, args).await?;
    let teller = match given_url(args) {
        Some(url) => HttpTeller::new(&url, &token)?,
        None => {
            let folder = context.folder.clone();
            HttpTeller::located(move || locate(&folder), &token)?
        }
    };
    stdio_bridge(teller).await?;
    Ok(End::Done)
}

/// Where the desk is now; asked for each call, since it may be started later or move.
fn locate(folder: &Path) -> Option<Url> {
    let running = tokio::task::block_in_place(|| {
        tokio::runtime::Handle::current().block_on(owner::running(folder))
    })?;
    running_url(&running).and_then(|url| Url::parse(&url).ok())
}

/// `imprest fetch`.
///
/// # Errors
/// [`Fault::Input`] for a body that cannot be read, and what the door says.
pub async fn fetch(context: &Context, args: &FetchArgs) -> Result<End, Fault> {
    let mut request = request(&args.request)?;
    request.purpose.clone_from(&args.purpose);
    request.task.clone_from(&args.task);
    request.idempotency_key.clone_from(&args.key);
    request.wait_ms = args.wait;
    request.check().map_err(for_a_shell)?;
    let door = Door::open(context, &args.door).await?;
    match door.teller.fetch(&(), request).await {
        Ok(answer) => show_fetch(context, &answer),
        Err(failure) => Err(door.fault(failure).await),
    }
}

/// `imprest call`.
///
/// # Errors
/// [`Fault::Input`] for arguments that are no JSON object, and what the door says.
pub async fn call(context: &Context, args: &CallArgs) -> Result<End, Fault> {
    let arguments = match &args.arguments {
        None => Map::new(),
        Some(text) => serde_json::from_str(text).map_err(|error| {
            let what = format!("The arguments are no JSON object: {error}.");
            Fault::input(what, "Write them as {\"name\": value}.")
        })?,
    };
    let request = CallRequest {
        server: args.server.clone(),
        tool: args.tool.clone(),
        arguments,
        max_amount: args.max.clone(),
        purpose: args.purpose.clone(),
        task: args.task.clone(),
        idempotency_key: args.key.clone(),
        wait_ms: args.wait,
    };
    request.check().map_err(for_a_shell)?;
    let door = Door::open(context, &args.door).await?;
    match door.teller.call_tool(&(), request).await {
        Ok(answer) => show_fetch(context, &answer),
        Err(failure) => Err(door.fault(failure).await),
    }
}

/// `imprest transfer`.
///
/// # Errors
/// As [`fetch`].
pub async fn transfer(context: &Context, args: &TransferArgs) -> Result<End, Fault> {
    let request = TransferRequest {
        to: args.to.clone(),
        amount: args.amount.clone(),
        asset: None,
        purpose: args.purpose.clone(),
        idempotency_key: args.key.clone(),
        wait_ms: args.wait,
    };
    request.check().map_err(for_a_shell)?;
    let door = Door::open(context, &args.door).await?;
    match door.teller.transfer(&(), request).await {
        Ok(answer) => show_fetch(context, &answer),
        Err(failure) => Err(door.fault(failure).await),
    }
}

/// `imprest quote`.
///
/// # Errors
/// As [`fetch`].
pub async fn quote(context: &Context, args: &QuoteArgs) -> Result<End, Fault> {
    let request = request(&args.request)?;
    request.check().map_err(for_a_shell)?;
    let door = Door::open(context, &args.door).await?;
    match door.teller.quote(&(), request).await {
        Ok(answer) => show_quote(context, &answer),
        Err(failure) => Err(door.fault(failure).await),
    }
}

/// `imprest payment`.
///
/// # Errors
/// What the door says.
pub async fn payment(context: &Context, args: &PaymentArgs) -> Result<End, Fault> {
    let id: PaymentId = args.payment.parse().map_err(|error: imprest_domain::IdError| {
        Fault::input(format!("{error}."), "Give the identifier that fetch named, pay_….")
    })?;
    let door = Door::open(context, &args.door).await?;
    match door.teller.payment(&(), id, args.wait).await {
        Ok(answer) => show_fetch(context, &answer),
        Err(failure) => Err(door.fault(failure).await),
    }
}

/// `imprest payments`.
///
/// # Errors
/// What the door says.
pub async fn payments(context: &Context, args: &PaymentsArgs) -> Result<End, Fault> {
    let door = Door::open(context, &args.door).await?;
    let wanted = args.limit as usize;
    let (mut payments, mut cursor): (Vec<PaymentView>, _) = (Vec::new(), None);
    while payments.len() < wanted {
        let page = match door.teller.payments(&(), cursor.take()).await {
            Ok(page) => page,
            Err(failure) => return Err(door.fault(failure).await),
        };
        let got_some = !page.payments.is_empty();
        payments.extend(page.payments);
        cursor = page.next_cursor;
        if cursor.is_none() || !got_some {
            break;
        }
    }
    payments.truncate(wanted);
    if context.screen.is_json() {
        payments.iter().try_for_each(|payment| context.screen.document(payment))?;
        return Ok(End::Done);
    }
    if payments.is_empty() {
        context.screen.line("No payments yet.")?;
        return Ok(End::Done);
    }
    let rows: Vec<_> = payments
        .iter()
        .map(|p| {
            vec![
                cell(local_time(&p.at)),
                cell(format!("{} {}", p.amount.amount, p.amount.asset)),
                cell(&p.url),
                toned(tone_of(&p.state), &p.state),
                toned(Tone::Faint, &p.id),
            ]
        })
        .collect();
    let columns = [left("when"), right("amount"), left("address"), left("state"), left("payment")];
    context.screen.table(&columns, &rows)?;
    Ok(End::Done)
}

/// `imprest budget`.
///
/// # Errors
/// What the door says.
pub async fn budget(context: &Context, args: &DoorArgs) -> Result<End, Fault> {
    let door = Door::open(context, args).await?;
    match door.teller.budget(&()).await {
        Ok(answer) => show_budget(context, &answer),
        Err(failure) => Err(door.fault(failure).await),
    }
}

fn request(args: &RequestArgs) -> Result<FetchRequest, Fault> {
    let mut body = args.body.clone();
    let mut body_base64 = None;
    if let Some(path) = &args.body_file {
        match String::from_utf8(read_body(path)?) {
            Ok(text) => body = Some(text),
            Err(error) => body_base64 = Some(STANDARD.encode(error.as_bytes())),
        }
    }
    let has_body = body.is_some() || body_base64.is_some();
    let method = args.method.clone().or_else(|| has_body.then(|| "POST".to_owned()));
    let headers = args.headers.iter().cloned().collect();
    Ok(FetchRequest {
        url: args.url.clone(),
        method,
        headers,
        body,
        body_base64,
        max_amount: args.max.clone(),
        purpose: None,
        task: None,
        idempotency_key: None,
        wait_ms: None,
    })
}

fn read_body(path: &Path) -> Result<Vec<u8>, Fault> {
    let unreadable = |source| Fault::File {
        what: format!("The body {} cannot be read", path.display()),
        source,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_BODY_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BODY_BYTES {
        return Err(Fault::input(
            format!("The body {} is larger than 2 MiB.", path.display()),
            "Send less in one request.",
        ));
    }
    Ok(bytes)
}

/// How a status ends the command. Something that was paid and is unclear is not done: the caller
/// has to look again before it buys again.
fn end_of(status: FetchStatus) -> End {
    match status {
        FetchStatus::Settled | FetchStatus::Delivered | FetchStatus::Free => End::Done,
        FetchStatus::Pending => End::Waiting,
        FetchStatus::Refused => End::Refused,
        FetchStatus::Unknown | FetchStatus::Failed => End::Bad,
    }
}

fn show_fetch(context: &Context, answer: &FetchAnswer) -> Result<End, Fault> {
    let end = end_of(answer.status);
    if context.screen.is_json() {
        context.screen.document(answer)?;
        return Ok(end);
    }
    if let Some(response) = &answer.response {
        show_body(context, response)?;
    }
    if let Some(result) = &answer.result {
        show_result(context, result)?;
    }
    for line in summary(answer) {
        note(&one_line(&line));
    }
    Ok(end)
}

/// What became of the money, in one line, and what stands in the way, in one line a reason.
fn summary(answer: &FetchAnswer) -> Vec<String> {
    let mut lines = Vec::new();
    let paid = answer.payment.as_ref().map(|payment| {
        let amount = format!("{} {}", payment.amount.amount, payment.amount.asset);
        (amount, payment)
    });
    let http = answer.response.as_ref().map(|r| format!(", HTTP {}", r.status)).unwrap_or_default();
    lines.push(match (answer.status, &paid) {
        (FetchStatus::Settled, Some((amount, payment))) => {
            let transaction = payment
                .transaction
                .as_ref()
                .map(|tx| format!(", transaction {tx}"))
                .unwrap_or_default();
            format!(
                "Paid {amount} to {}, settled{transaction}{http}. {}",
                payment.origin, payment.id
            )
        }
        (FetchStatus::Delivered, Some((amount, payment))) => format!(
            "Paid {amount} to {}; the chain has not confirmed it yet{http}. {}",
            payment.origin, payment.id
        ),
        (FetchStatus::Free, _) => format!("Nothing was asked for it{http}."),
        (FetchStatus::Pending, Some((amount, payment))) => format!(
            "The owner has been asked about {amount} to {}: imprest payment {} --wait 60000",
            payment.origin, payment.id
        ),
        (FetchStatus::Pending, None) => "The owner has been asked.".to_owned(),
        (FetchStatus::Refused, Some((amount, payment))) => {
            format!("Refused: {amount} to {}. {}", payment.origin, payment.id)
        }
        (FetchStatus::Refused, None) => "Refused.".to_owned(),
        (FetchStatus::Unknown, Some((amount, payment))) => format!(
            "Unclear: {amount} to {} counts as spent until the chain tells. {}",
            payment.origin, payment.id
        ),
        (FetchStatus::Unknown, None) => "Unclear: it counts as spent.".to_owned(),
        (FetchStatus::Settled | FetchStatus::Delivered, None) => format!("Paid{http}."),
        (FetchStatus::Failed, _) => format!("Nothing was paid and nothing was got{http}."),
    });
    if end_of(answer.status) != End::Done {
        lines.extend(answer.verdict.iter().flat_map(reasons));
    }
    lines.extend(answer.receipt.iter().map(|receipt| {
        let by = receipt.signer.as_deref().unwrap_or("nobody that can be told");
        match receipt.faults.is_empty() {
            true => format!("The payee’s receipt is signed by {by}."),
            false => format!("The payee’s receipt is not believed: {}.", receipt.faults.join("; ")),
        }
    }));
    // The first line of a question says already what its note says.
    lines.extend(answer.note.clone().filter(|_| answer.status != FetchStatus::Pending));
    lines
}

fn reasons(verdict: &VerdictView) -> Vec<String> {
    verdict
        .reasons
        .iter()
        .map(|reason| {
            let who = match (reason.remedy.as_str(), &reason.resets_at) {
                (_, Some(at)) => format!(" (starts again {})", local_time(at)),
                ("owner", None) => " (the owner can change it)".to_owned(),
                ("agent", None) => " (ask for something else)".to_owned(),
                _ => String::new(),
            };
            format!("  {}: {}{who}", reason.code, reason.message)
        })
        .collect()
}

/// The body as it is into a file or pipe; on a terminal made harmless first.
fn show_body(context: &Context, response: &ResponseView) -> Result<(), Fault> {
    let screen = context.screen;
    match (&response.body, &response.body_base64) {
        (Some(text), _) if screen.is_terminal() => {
            if !text.is_empty() {
                screen.line(terminal_text(text).trim_end_matches('\n'))?;
            }
        }
        (Some(text), _) => screen.bytes(text.as_bytes())?,
        (None, Some(encoded)) => {
            let bytes = STANDARD.decode(encoded).map_err(|error| {
                tracing::warn!(%error, "the desk sent a body that is no base64");
                Fault::Answer { command: "fetch".into() }
            })?;
            if screen.is_terminal() {
                note(&format!("The answer is not text: {} bytes. Send it to a file.", bytes.len()));
            } else {
                screen.bytes(&bytes)?;
            }
        }
        (None, None) => {}
    }
    if response.truncated {
        note("The answer was longer; this is its beginning.");
    }
    Ok(())
}

/// A tool's result as JSON; on a terminal made harmless first.
fn show_result(context: &Context, result: &Map<String, Value>) -> Result<(), Fault> {
    let screen = context.screen;
    if screen.is_terminal() {
        let text = Value::Object(result.clone()).to_string();
        return screen.line(&terminal_text(&text));
    }
    screen.document(result)
}

fn show_quote(context: &Context, answer: &QuoteAnswer) -> Result<End, Fault> {
    let screen = context.screen;
    if screen.is_json() {
        screen.document(answer)?;
        return Ok(End::Done);
    }
    if answer.free {
        screen.line("It costs nothing.")?;
    }
    let amount = answer.amount.as_ref();
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let verdict = match answer.verdict.as_ref() {
        Some(verdict) => {
            let word = match verdict.outcome.as_str() {
                "allow" => "it would be paid",
                "ask" => "the owner would be asked",
                _ => "it would be refused",
            };
            format!("{word} (grade {})", verdict.grade)
        }
        None => String::new(),
    };
    screen.facts(
        0,
        &[
            (
                "price",
                amount
                    .map(|a| format!("{} {} on {}", a.amount, a.asset, a.network))
                    .unwrap_or_default(),
            ),
            ("payee", text(&answer.origin)),
            ("pay to", text(&answer.pay_to)),
            (
                "its words",
                answer.description.as_ref().map(|d| format!("“{d}”")).unwrap_or_default(),
            ),
            ("verdict", verdict),
        ],
    )?;
    for line in answer.verdict.iter().flat_map(reasons) {
        screen.line(&one_line(&line))?;
    }
    if let Some(text) = &answer.note {
        screen.line(&one_line(text))?;
    }
    Ok(End::Done)
}

fn show_budget(context: &Context, answer: &BudgetAnswer) -> Result<End, Fault> {
    let screen = context.screen;
    if screen.is_json() {
        screen.document(answer)?;
        return Ok(End::Done);
    }
    let per_day = |limit: &String| format!("{limit} {} a day", answer.asset);
    let at_once = |limit: &String| format!("{limit} {} at once", answer.asset);
    let per_hour = |count: u32| format!("at most {count} payments in any 60 minutes");
    let per_payment = answer
        .per_payment
        .as_ref()
        .map(|limit| format!("{limit} {}, above that {}", answer.asset, answer.over_payment))
        .unwrap_or_default();
    screen.facts(
        0,
        &[
            ("agent", answer.agent.clone()),
            ("grade", format!("{}: {}", answer.grade_in_force, answer.grade_reason)),
            ("payments", if answer.frozen { "frozen by the owner".into() } else { "go on".into() }),
            ("per payment", per_payment),
            ("per payee", answer.per_payee_day.as_ref().map(per_day).unwrap_or_default()),
            ("in flight", answer.exposure.as_ref().map(at_once).unwrap_or_default()),
            ("pace", answer.max_count_hour.map(per_hour).unwrap_or_default()),
            ("hours", answer.hours.clone().unwrap_or_default()),
            ("float free", format!("{} {} on {}", answer.float_free, answer.asset, answer.network)),
            ("ends", answer.expires_at.as_deref().map(local_time).unwrap_or_default()),
        ],
    )?;
    let names: Vec<String> = answer
        .windows
        .iter()
        .map(|w| match &w.scope {
            Some(shared) => format!("{} of {shared}", w.window),
            None => w.window.clone(),
        })
        .collect();
    screen.windows(answer.windows.iter().zip(&names).map(|(w, name)| WindowCells {
        limits: [name, &w.limit, &w.spent, &w.in_flight, &w.left],
        resets_at: w.resets_at.as_deref(),
    }))?;
    Ok(End::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use imprest_gateway::wire::{Amount, ReasonView};

    fn answer(status: FetchStatus) -> FetchAnswer {
        FetchAnswer {
            status,
            payment: Some(PaymentView {
                id: "pay_1".into(),
                state: "settled".into(),
                amount: Amount {
                    amount: "0.01".into(),
                    asset: "USDC".into(),
                    network: "eip155:402402".into(),
                },
                origin: "http://127.0.0.1:8402".into(),
                pay_to: "0x00000000000000000000000000000000000000AA".into(),
                url: "http://127.0.0.1:8402/weather".into(),
                at: "2026-11-22T12:00:00Z".into(),
                transaction: Some("0xab".into()),
                valid_before: None,
                purpose: None,
            }),
            verdict: Some(VerdictView {
                outcome: "deny".into(),
                grade: "L3".into(),
                reasons: vec![ReasonView {
                    code: "frozen".into(),
                    message: "The owner has frozen all payments.".into(),
                    scope: None,
                    limit: None,
                    observed: None,
                    limit_count: None,
                    observed_count: None,
                    remedy: "owner".into(),
                    resets_at: None,
                }],
            }),
            response: None,
            result: None,
            receipt: None,
            note: None,
        }
    }

    #[test]
    fn every_status_has_its_line_and_its_exit_code() {
        let expected = [
            (FetchStatus::Settled, 0, "Paid 0.01 USDC"),
            (FetchStatus::Delivered, 0, "not confirmed"),
            (FetchStatus::Free, 0, "Nothing was asked"),
            (FetchStatus::Pending, 4, "owner has been asked"),
            (FetchStatus::Refused, 3, "Refused: 0.01 USDC"),
            (FetchStatus::Unknown, 1, "counts as spent"),
            (FetchStatus::Failed, 1, "Nothing was paid"),
        ];
        for (status, code, words) in expected {
            let lines = summary(&answer(status));
            assert_eq!(end_of(status).code(), code, "{status:?}");
            assert!(lines[0].contains(words), "{status:?}: {lines:?}");
            let says_why = lines.iter().any(|line| line.contains("frozen: The owner has frozen"));
            assert_eq!(says_why, code != 0, "{status:?}: {lines:?}");
        }
    }

    #[test]
    fn a_body_makes_it_a_post() {
        let mut args = RequestArgs {
            url: "http://a/".into(),
            method: None,
            headers: vec![("a".into(), "b".into())],
            body: None,
            body_file: None,
            max: Some("0.05".into()),
        };
        assert_eq!(request(&args).expect("no body").method, None);
        args.body = Some("x".into());
        let posted = request(&args).expect("a body");
        assert_eq!(posted.method.as_deref(), Some("POST"));
        assert_eq!(posted.headers["a"], "b");
        assert_eq!(posted.max_amount.as_deref(), Some("0.05"));
        args.body = None;
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), b"\xff\x00").expect("written");
        args.body_file = Some(file.path().to_owned());
        assert_eq!(request(&args).expect("a file").body_base64.as_deref(), Some("/wA="));
        args.body_file = Some("/nonexistent/body".into());
        assert!(matches!(request(&args), Err(Fault::File { .. })));
    }
}
