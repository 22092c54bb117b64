//! The real window, driven through WebDriver (W3C) as a person would drive it.
//!
//! A few requests of the standard are all that is needed, so they are made here; a WebDriver crate
//! would bring a second HTTP client and its TLS.

use crate::session::end;
use crate::{DesktopSession, Obstacle, built_program};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How long the window may take to get ready, and to come to show what is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one request to the driver may take.
const REQUEST: Duration = Duration::from_secs(60);
/// The key of an element's reference (W3C WebDriver, 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Errors that pass when the page has come further (W3C WebDriver, 6.6).
const PASSING: &[&str] = &[
    "no such element",
    "stale element reference",
    "element not interactable",
    "element click intercepted",
];

/// The application under its WebDriver, from start to the owner's quitting.
#[derive(Debug)]
pub struct Window {
    client: Client,
    /// The session's address; requests go below it.
    at: String,
    driver: Child,
}

/// Why the driver did not do something.
enum Failure {
    /// The page has not come that far.
    NotYet(String),
    /// It will not do it.
    Broken(Obstacle),
}

impl From<Failure> for Obstacle {
    fn from(failure: Failure) -> Obstacle {
        match failure {
            Failure::NotYet(why) => Obstacle::new(why),
            Failure::Broken(obstacle) => obstacle,
        }
    }
}

impl Window {
    /// Starts the built application with these arguments.
    ///
    /// What it and its driver say is the session's log `window`.
    ///
    /// # Errors
    /// When it is not built, tauri-driver is missing, or no window comes.
    pub async fn open(session: &DesktopSession, arguments: &[&str]) -> Result<Window, Obstacle> {
        let application = built_program("imprest-desk")?;
        let (port, native_port) = (free_port()?, free_port()?);
        let mut command = session.command(tauri_driver()?);
        command.arg("--port").arg(port.to_string());
        command.arg("--native-port").arg(native_port.to_string());
        let log = session.log("window")?;
        let also = log.try_clone().map_err(|e| Obstacle::io("sharing a log file", &e))?;
        command.stdin(Stdio::null()).stdout(log).stderr(also);
        let driver = command.spawn().map_err(|e| Obstacle::io("starting tauri-driver", &e))?;
        let client = Client::builder().no_proxy().timeout(REQUEST).build();
        let client = client.map_err(|e| Obstacle::new(format!("making an HTTP client: {e}")))?;
        let at = format!("http://127.0.0.1:{port}");
        // From here on the driver ends with this value, whatever goes wrong.
        let mut window = Window { client, at, driver };
        window.driver_ready().await?;
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "wry",
            "tauri:options": { "application": application, "args": arguments },
        }}});
        let begun = window.ask(Method::POST, "/session", &wanted).await?;
        let id = begun["sessionId"].as_str();
        let id = id.ok_or_else(|| Obstacle::new(format!("No session was made: {begun}")))?;
        window.at = format!("{}/session/{id}", window.at);
        Ok(window)
    }

    /// Waits until there is an element, and answers how many there are.
    ///
    /// # Errors
    /// When none comes.
    pub async fn see(&self, css: &str) -> Result<usize, Obstacle> {
        let look = async || match self.all(css).await?.len() {
            0 => Err(Failure::NotYet(format!("There is no {css}"))),
            count => Ok(count),
        };
        self.until(css, look).await
    }

    /// Waits until there is no such element.
    ///
    /// # Errors
    /// When one stays.
    pub async fn see_none(&self, css: &str) -> Result<(), Obstacle> {
        let look = async || match self.all(css).await?.len() {
            0 => Ok(()),
            count => Err(Failure::NotYet(format!("There still are {count} of {css}"))),
        };
        self.until(css, look).await
    }

    /// Clicks an element, once it is there and can be clicked.
    ///
    /// # Errors
    /// When it never can.
    pub async fn click(&self, css: &str) -> Result<(), Obstacle> {
        let act = async || {
            let element = self.usable(css).await?;
            self.ask(Method::POST, &format!("/element/{element}/click"), &json!({})).await
        };
        self.until(css, act).await.map(drop)
    }

    /// Clicks what ends the application, once it can be clicked.
    ///
    /// Whether the click arrived has to be seen by the end of the application, which may come
    /// before the driver has its answer.
    ///
    /// # Errors
    /// When it never can be clicked.
    pub async fn click_the_last(&self, css: &str) -> Result<(), Obstacle> {
        let element = self.until(css, async || self.usable(css).await).await?;
        let _ = self.ask(Method::POST, &format!("/element/{element}/click"), &json!({})).await;
        Ok(())
    }

    /// Types into a field in place of what is there.
    ///
    /// # Errors
    /// When there is no such field, or it does not take the text.
    pub async fn fill(&self, css: &str, text: &str) -> Result<(), Obstacle> {
        let act = async || {
            let element = self.usable(css).await?;
            self.ask(Method::POST, &format!("/element/{element}/clear"), &json!({})).await?;
            let keys = json!({ "text": text });
            self.ask(Method::POST, &format!("/element/{element}/value"), &keys).await?;
            let path = format!("/element/{element}/property/value");
            match self.ask(Method::GET, &path, &Value::Null).await?.as_str() {
                Some(value) if value == text => Ok(()),
                value => Err(Failure::NotYet(format!("{css} holds {value:?}"))),
            }
        };
        self.until(css, act).await
    }

    /// The text of an element as a person reads it, with plain spaces.
    ///
    /// # Errors
    /// When there is no such element.
    pub async fn text(&self, css: &str) -> Result<String, Obstacle> {
        let read = async || {
            let element = self.one(css).await?;
            self.ask(Method::GET, &format!("/element/{element}/text"), &Value::Null).await
        };
        let text = self.until(css, read).await?;
        Ok(text.as_str().unwrap_or_default().replace('\u{a0}', " "))
    }

    /// The texts of all elements that fit, in the page's order.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn texts(&self, css: &str) -> Result<Vec<String>, Obstacle> {
        let mut texts = Vec::new();
        for element in self.all(css).await? {
            let path = format!("/element/{element}/text");
            let text = self.ask(Method::GET, &path, &Value::Null).await?;
            texts.push(text.as_str().unwrap_or_default().to_owned());
        }
        Ok(texts)
    }

    /// An attribute of an element.
    ///
    /// # Errors
    /// When there is no such element or attribute.
    pub async fn attribute(&self, css: &str, name: &str) -> Result<String, Obstacle> {
        let read = async || {
            let element = self.one(css).await?;
            let path = format!("/element/{element}/attribute/{name}");
            let value = self.ask(Method::GET, &path, &Value::Null).await?;
            let missing = || Failure::NotYet(format!("{css} has no {name}"));
            value.as_str().map(str::to_owned).ok_or_else(missing)
        };
        self.until(css, read).await
    }

    /// The same attribute of all elements that fit, in the page's order.
    ///
    /// # Errors
    /// When they cannot be read, or one is missing.
    pub async fn attributes(&self, css: &str, name: &str) -> Result<Vec<String>, Obstacle> {
        let mut values = Vec::new();
        for element in self.all(css).await? {
            let path = format!("/element/{element}/attribute/{name}");
            let value = self.ask(Method::GET, &path, &Value::Null).await?;
            let missing = || Obstacle::new(format!("One of {css} has no {name}"));
            values.push(value.as_str().map(str::to_owned).ok_or_else(missing)?);
        }
        Ok(values)
    }

    /// Waits until the page has been painted as it now is.
    ///
    /// # Errors
    /// When the page does not paint.
    pub async fn painted(&self) -> Result<(), Obstacle> {
        // Transitions start with a frame. A callback comes before its frame is painted, so the
        // second one comes after a frame.
        let script = "const done = arguments[0];
            const frame = () => new Promise((next) => requestAnimationFrame(next));
            const still = () => Promise.allSettled(document.getAnimations().map((a) => a.finished));
            frame().then(still).then(frame).then(frame).then(() => done(true));";
        let asked = json!({ "script": script, "args": [] });
        self.ask(Method::POST, "/execute/async", &asked).await?;
        Ok(())
    }

    async fn driver_ready(&mut self) -> Result<(), Obstacle> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Until both drivers listen, there is no answer.
            if let Ok(answer) = self.ask(Method::GET, "/status", &Value::Null).await
                && answer["ready"] == true
            {
                return Ok(());
            }
            let ended = self.driver.try_wait().ok().flatten();
            if let Some(status) = ended {
                return Err(Obstacle::new(format!("tauri-driver ended with {status}.")));
            }
            if Instant::now() >= deadline {
                return Err(Obstacle::new("tauri-driver does not get ready."));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Tries until it works, as long as what stands in the way may pass.
    async fn until<T>(
        &self,
        css: &str,
        mut attempt: impl AsyncFnMut() -> Result<T, Failure>,
    ) -> Result<T, Obstacle> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(Failure::NotYet(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(failure) => {
                    let why = Obstacle::from(failure);
                    return Err(Obstacle::new(format!("At {css} in the window: {why}")));
                }
            }
        }
    }

    async fn one(&self, css: &str) -> Result<String, Failure> {
        let by = json!({ "using": "css selector", "value": css });
        let found = self.ask(Method::POST, "/element", &by).await?;
        Ok(found[ELEMENT].as_str().unwrap_or_default().to_owned())
    }

    async fn usable(&self, css: &str) -> Result<String, Failure> {
        let element = self.one(css).await?;
        let path = format!("/element/{element}/enabled");
        match self.ask(Method::GET, &path, &Value::Null).await? {
            Value::Bool(true) => Ok(element),
            _ => Err(Failure::NotYet("it is disabled".to_owned())),
        }
    }

    async fn all(&self, css: &str) -> Result<Vec<String>, Failure> {
        let by = json!({ "using": "css selector", "value": css });
        let found = self.ask(Method::POST, "/elements", &by).await?;
        let ids = found.as_array().into_iter().flatten();
        Ok(ids.filter_map(|id| id[ELEMENT].as_str()).map(str::to_owned).collect())
    }

    /// One request below the session; answers its `value`.
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, Failure> {
        let trouble = |e: reqwest::Error| {
            Failure::Broken(Obstacle::new(format!("Asking the driver for {path}: {e}")))
        };
        let mut request = self.client.request(method, format!("{}{path}", self.at));
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(trouble)?;
        let well = answer.status().is_success();
        let mut answer: Value = answer.json().await.map_err(trouble)?;
        let value = answer["value"].take();
        if well {
            return Ok(value);
        }
        let why = format!("{}: {}", value["error"], value["message"]);
        match value["error"].as_str() {
            Some(error) if PASSING.contains(&error) => Err(Failure::NotYet(why)),
            _ => Err(Failure::Broken(Obstacle::new(why))),
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // Asked to end, it takes the WebDriver of WebKit along.
        end(&mut self.driver);
    }
}

/// tauri-driver: `IMPREST_TAURI_DRIVER`, which `cargo xtask test` sets, else where it puts it.
fn tauri_driver() -> Result<PathBuf, Obstacle> {
    let path = match env::var_os("IMPREST_TAURI_DRIVER") {
        Some(path) => PathBuf::from(path),
        None => target()?.join("tools/bin/tauri-driver"),
    };
    if path.is_file() {
        return Ok(path);
    }
    Err(Obstacle::new(format!("{} is not there. `cargo xtask setup` installs it.", path.display())))
}

/// Cargo's target folder, two above the built programs.
pub(crate) fn target() -> Result<PathBuf, Obstacle> {
    let program = built_program("imprest")?;
    Ok(program.ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf())
}

/// A port that nobody has right now.
fn free_port() -> Result<u16, Obstacle> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|taken| taken.local_addr());
    Ok(port.map_err(|e| Obstacle::io("looking for a free port", &e))?.port())
}
