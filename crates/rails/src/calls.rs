//! The two calls of a paid tool, one that asks and one that pays. What is quoted and what is paid is
//! as with any other request; only the way it travels is another.

use crate::mcp::{self, Called, Listener, Reply, Session};
use crate::offer::Terms;
use crate::pay::{Answer, Says, judge, meta};
use crate::response::{BodyEnd, BodyReader};
use crate::x402::{self, v2};
use crate::{Outcome, Payload, Probe, Quote, Rails, RailsError, Request, Response};
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// How long a server may take to hear that its session is over.
const PARTING: Duration = Duration::from_secs(2);

/// By when all of a call has to be over.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    timeout_ms: u64,
}

impl Deadline {
    fn in_ms(timeout_ms: u64) -> Deadline {
        Deadline { at: Instant::now() + Duration::from_millis(timeout_ms), timeout_ms }
    }

    fn missed(self, request: &Request) -> RailsError {
        RailsError::TimedOut { host: request.host(), timeout_ms: self.timeout_ms }
    }
}

/// A message that was not answered.
enum Lost {
    /// It never left this machine.
    Unsent(RailsError),
    /// It may have arrived.
    Sent(RailsError),
}

impl From<Lost> for RailsError {
    fn from(lost: Lost) -> RailsError {
        match lost {
            Lost::Unsent(error) | Lost::Sent(error) => error,
        }
    }
}

/// What came back for one message.
struct Heard {
    status: u16,
    headers: HeaderMap,
    reply: Option<Reply>,
    body: BodyReader,
    end: BodyEnd,
}

impl Heard {
    /// The result that was asked for.
    ///
    /// # Errors
    /// A clause, when there is none.
    fn result(&self) -> Result<&str, String> {
        match (&self.reply, &self.end) {
            _ if !(200..=299).contains(&self.status) => {
                Err(format!("it answered with status {}", self.status))
            }
            (Some(Reply::Result(result)), _) => Ok(result),
            (Some(Reply::Error(error)), _) => Err(format!("it answered with the error “{error}”")),
            (None, BodyEnd::Cut(why)) => Err(format!("its answer broke off: {why}")),
            (None, _) if self.body.is_truncated() => Err("its answer is too long".into()),
            (None, _) => Err("it gave no answer to the call".into()),
        }
    }

    /// The result in place of the body that it came in.
    fn response(&self, called: &Called) -> Response {
        let result = called.result.clone().into();
        Response { is_result: true, ..Response::new(self.status, &self.headers, result) }
    }
}

impl Rails {
    /// Calls a tool without paying, and reads its price if it has one.
    pub(crate) async fn quote_call(
        &self,
        request: &Request,
        tool: &str,
    ) -> Result<Probe, RailsError> {
        let deadline = Deadline::in_ms(self.options().quote_timeout_ms);
        let not_done = |why| RailsError::NotDone { host: request.host(), why };
        let session = self.meet(request, deadline).await?;
        let call = mcp::call(tool, arguments(request), None).map_err(not_done)?;
        let heard = self.say(request, Some(&session), call, mcp::CALL, deadline).await?;
        self.part(request, &session).await;
        let called = Called::read(heard.result().map_err(not_done)?.to_owned());
        let called = called.map_err(|why| not_done(format!("its answer is unreadable: {why}")))?;
        let response = heard.response(&called);
        let Some(terms) = &called.terms else { return Ok(Probe::Free(response)) };
        match v2::read_json(terms, request, &self.options().assets, Timestamp::now())? {
            Terms::Payable(quote) => Ok(Probe::Offer(quote)),
            Terms::Unpayable(reasons) => Ok(Probe::Unpayable { reasons, response }),
        }
    }

    /// Calls a tool once more, with the payment, once.
    pub(crate) async fn deliver_call(
        &self,
        request: &Request,
        tool: &str,
        quote: &Quote,
        payload: &Payload,
    ) -> Outcome {
        let lost = |why, sent| Outcome::Unclear { why, response: None, receipt: None, sent };
        let call = meta(request, quote, payload)
            .and_then(|payment| mcp::call(tool, arguments(request), Some(&payment)));
        let call = match call {
            Ok(call) => call,
            Err(why) => return lost(why, false),
        };
        let deadline = Deadline::in_ms(self.options().deliver_timeout_ms);
        let session = match self.meet(request, deadline).await {
            Ok(session) => session,
            Err(error) => return lost(error.to_string(), false),
        };
        let heard = match self.say(request, Some(&session), call, mcp::CALL, deadline).await {
            Ok(heard) => heard,
            Err(Lost::Unsent(error)) => return lost(error.to_string(), false),
            Err(Lost::Sent(error)) => return lost(error.to_string(), true),
        };
        self.part(request, &session).await;
        judge(answer(heard, request, quote, payload))
    }

    /// Opens a session.
    async fn meet(&self, request: &Request, deadline: Deadline) -> Result<Session, RailsError> {
        let not_done = |why| RailsError::NotDone { host: request.host(), why };
        let heard = self.say(request, None, mcp::opening(), mcp::OPENING, deadline).await?;
        let session = Session::read(&heard.headers, heard.result().map_err(not_done)?)
            .map_err(|why| not_done(format!("no session could be opened: {why}")))?;
        let opened = self.message(request, Some(&session), mcp::OPENED.to_owned());
        let sending = self.client(request).execute(opened);
        let answer = timeout_at(deadline.at, sending)
            .await
            .map_err(|_| deadline.missed(request))?
            .map_err(|error| self.failure(request, &error))?;
        match answer.status().is_success() {
            true => Ok(session),
            false => {
                let status = answer.status().as_u16();
                Err(not_done(format!("it answered the opening with status {status}")))
            }
        }
    }

    /// Sends one message, and listens for its answer.
    async fn say(
        &self,
        request: &Request,
        session: Option<&Session>,
        message: String,
        id: u64,
        deadline: Deadline,
    ) -> Result<Heard, Lost> {
        let sending = self.client(request).execute(self.message(request, session, message));
        let mut answer = match timeout_at(deadline.at, sending).await {
            Err(_) => return Err(Lost::Sent(deadline.missed(request))),
            // No connection was made, so nothing was written to one.
            Ok(Err(error)) if error.is_connect() => {
                return Err(Lost::Unsent(self.failure(request, &error)));
            }
            Ok(Err(error)) => return Err(Lost::Sent(self.failure(request, &error))),
            Ok(Ok(answer)) => answer,
        };
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let (mut body, mut listener) = (BodyReader::default(), Listener::new(&headers, id));
        let bytes_max = self.options().body_bytes_max;
        let reading = body.read_until(&mut answer, bytes_max, |arrived| listener.hear(arrived));
        let end = match timeout_at(deadline.at, reading).await {
            Ok(end) => end,
            Err(_) => BodyEnd::Cut(deadline.missed(request).to_string()),
        };
        let reply = listener.answer(body.bytes());
        Ok(Heard { status, headers, reply, body, end })
    }

    /// Tells a server that its session is over. It is a courtesy: that it fails is no failure.
    async fn part(&self, request: &Request, session: &Session) {
        if session.id.is_some() {
            let mut over = self.message(request, Some(session), String::new());
            *over.method_mut() = Method::DELETE;
            *over.body_mut() = None;
            drop(timeout(PARTING, self.client(request).execute(over)).await);
        }
    }

    fn message(
        &self,
        request: &Request,
        session: Option<&Session>,
        message: String,
    ) -> reqwest::Request {
        let mut sent = reqwest::Request::new(Method::POST, request.url().clone());
        *sent.body_mut() = Some(message.into());
        let headers = sent.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if let Some(session) = session {
            headers.insert(mcp::PROTOCOL_VERSION, session.revision.clone());
            if let Some(id) = &session.id {
                headers.insert(mcp::SESSION_ID, id.clone());
            }
        }
        sent
    }
}

/// The arguments of a call; they were text when it was made.
fn arguments(request: &Request) -> &str {
    std::str::from_utf8(request.body()).unwrap_or("{}")
}

/// What the answer to the paid call says.
fn answer(heard: Heard, request: &Request, quote: &Quote, payload: &Payload) -> Answer {
    let called = heard.result().map(ToOwned::to_owned).and_then(Called::read);
    let called = match called {
        Ok(called) => called,
        Err(why) => {
            let says = match heard.status {
                200..=299 => Says::Otherwise(format!("the tool was paid for, and {why}")),
                status => Says::of(status, None),
            };
            let response = heard.body.into_response(heard.status, &heard.headers);
            return Answer { response, end: heard.end, receipt: None, says };
        }
    };
    let settlement = called.settlement.as_deref();
    let receipt =
        settlement.and_then(|json| x402::signed_settlement(json, request, quote, payload));
    let says = match (&called.terms, called.is_error) {
        (Some(terms), _) => Says::AsksAgain(v2::error_of(terms)),
        (None, true) => Says::Otherwise("the tool was paid for, and says that it failed".into()),
        (None, false) => Says::Delivers,
    };
    let response = heard.response(&called);
    Answer { response, end: BodyEnd::Read, receipt, says }
}
