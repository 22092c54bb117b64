use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn terms() -> Value {
    json!({"x402Version": 2, "accepts": [{"scheme": "exact"}], "error": "pay"})
}

fn read(result: &Value) -> Called {
    Called::read(result.to_string()).unwrap()
}

#[test]
fn a_price_is_found_wherever_it_may_stand() {
    let wrapped = json!({"x402/error": {"code": 402, "message": "pay", "data": terms()}});
    for result in [
        json!({"isError": true, "structuredContent": terms()}),
        json!({"isError": true, "structuredContent": wrapped}),
        json!({"isError": true, "content": [{"type": "text", "text": terms().to_string()}]}),
        json!({"isError": true, "content": [{"type": "text", "text": wrapped.to_string()}]}),
        json!({"isError": true, "structuredContent": {"a": 1},
            "content": [{"type": "text", "text": terms().to_string()}, {"type": "image"}]}),
        json!({"isError": true, "structuredContent": null,
            "content": [{"type": "text", "text": terms().to_string()}]}),
    ] {
        let called = read(&result);
        assert_eq!(called.terms.as_deref(), Some(terms().to_string().as_str()), "{result}");
        assert!(called.is_error && called.settlement.is_none());
        assert_eq!(called.result, result.to_string());
    }
    // What stands whole comes first.
    let both = json!({"isError": true, "structuredContent": terms(),
        "content": [{"type": "text", "text": r#"{"x402Version":2,"accepts":[]}"#}]});
    assert_eq!(read(&both).terms, Some(terms().to_string()));
}

#[test]
fn what_is_no_price_is_none() {
    for result in [
        json!({}),
        json!({"content": []}),
        json!({"isError": false, "structuredContent": terms()}),
        json!({"structuredContent": terms()}),
        json!({"isError": true, "structuredContent": []}),
        json!({"isError": true, "structuredContent": {"x402Version": 2}}),
        json!({"isError": true, "structuredContent": {"accepts": []}}),
        json!({"isError": true, "structuredContent": {"x402/error": 402}}),
        json!({"isError": true, "content": [{"type": "image", "text": terms().to_string()}]}),
        json!({"isError": true, "content": [{"type": "text"},
            {"type": "text", "text": terms().to_string()}]}),
        json!({"isError": true, "content": [{"type": "text", "text": "no JSON"}]}),
    ] {
        assert_eq!(read(&result).terms, None, "{result}");
    }
}

#[test]
fn a_settlement_is_found_beside_the_result() {
    let settled = json!({"success": true});
    let found = |result: Value| read(&result).settlement;
    let name = "x402/payment-response";
    assert_eq!(found(json!({"_meta": {name: settled}})), Some(settled.to_string()));
    let failed = json!({"isError": true, "structuredContent": {name: settled}});
    assert_eq!(found(failed), Some(settled.to_string()));
    assert_eq!(found(json!({"structuredContent": {name: settled}})), None);
    assert_eq!(found(json!({"_meta": null})), None);
    assert_eq!(found(json!({"_meta": []})), None);
    let twice = format!(r#"{{"_meta":{{"{name}":{{"success":true,"success":false}}}}}}"#);
    assert_eq!(Called::read(twice).unwrap().settlement, None);
}

#[test]
fn what_could_be_read_in_two_ways_is_an_error() {
    let long = "x".repeat(TERMS_BYTES_MAX);
    for bad in [
        "".to_owned(),
        "[]".into(),
        "null".into(),
        "{".into(),
        r#"{"isError":"true"}"#.into(),
        r#"{"isError":true,"isError":false}"#.into(),
        r#"{"_meta":{},"_meta":{}}"#.into(),
        r#"{"content":{}}"#.into(),
        r#"{"isError":true,"structuredContent":{"x402Version":2,"accepts":[],"a":1,"a":2}}"#.into(),
        format!(
            r#"{{"isError":true,"structuredContent":{{"x402Version":2,"accepts":[],"a":"{long}"}}}}"#
        ),
    ] {
        assert!(Called::read(bad.clone()).is_err(), "{bad:.100}");
    }
}

fn heard(kind: Option<&str>, body: &str) -> Option<Reply> {
    let mut headers = HeaderMap::new();
    if let Some(kind) = kind {
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
    }
    let mut listener = Listener::new(&headers, CALL);
    listener.hear(body.as_bytes());
    listener.answer(body.as_bytes())
}

#[test]
fn an_answer_is_heard_in_a_body_and_in_a_stream() {
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"a":1}}"#;
    let expected = Some(Reply::Result(r#"{"a":1}"#.into()));
    for kind in [None, Some("application/json"), Some("application/json; charset=utf-8")] {
        assert_eq!(heard(kind, answer), expected);
    }
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
    let asks = r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}"#;
    let other = r#"{"jsonrpc":"2.0","id":7,"result":{"b":2}}"#;
    let stream = format!(
        "data: {progress}\n\ndata: {asks}\n\ndata: {other}\n\ndata: {answer}\n\ndata: x\n\n"
    );
    for kind in ["text/event-stream", "Text/Event-Stream; charset=utf-8"] {
        assert_eq!(heard(Some(kind), &stream), expected);
    }
    assert_eq!(heard(Some("application/json"), &stream), None);
    assert_eq!(heard(Some("text/event-stream"), answer), None);
    let fault = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no\u202e tool"}}"#;
    assert_eq!(heard(None, fault), Some(Reply::Error("no⟨U+202E⟩ tool (-32602)".into())));
}

#[test]
fn what_is_no_answer_to_the_call_is_none() {
    for bad in [
        "",
        "{}",
        "[]",
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"1.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"1","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1.0,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":2,"result":{}}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}"#,
        r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}} x"#,
    ] {
        assert_eq!(heard(None, bad), None, "{bad}");
        assert_eq!(heard(Some("text/event-stream"), &format!("data: {bad}\n\n")), None, "{bad}");
    }
}

#[test]
fn a_session_is_agreed_on() {
    let opened = |revision: &str| json!({"protocolVersion": revision}).to_string();
    let mut headers = HeaderMap::new();
    for revision in REVISIONS {
        let session = Session::read(&headers, &opened(revision)).unwrap();
        assert_eq!(session.revision, revision);
        assert!(session.id.is_none());
    }
    for bad in [opened("2024-11-05"), opened(""), opened("2026-07-28"), "{}".into(), "[]".into()] {
        assert!(Session::read(&headers, &bad).is_err(), "{bad}");
    }
    for (id, good) in [("a1", true), ("", false), ("a b", false), (&"x".repeat(1025), false)] {
        headers.insert(SESSION_ID, HeaderValue::from_str(id).unwrap());
        assert_eq!(Session::read(&headers, &opened(REVISIONS[0])).is_ok(), good, "{id:.20}");
    }
}

#[test]
fn messages_are_written_as_they_have_to_be() {
    let sent: Value = serde_json::from_str(&opening()).unwrap();
    assert_eq!((&sent["method"], &sent["id"]), (&json!("initialize"), &json!(0)));
    assert_eq!(sent["params"]["capabilities"], json!({}));
    let sent = call("rates", r#"{"week": 1.50}"#, None).unwrap();
    assert_eq!(
        sent,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rates","arguments":{"week": 1.50}}}"#
    );
    let payment = RawValue::from_string(r#"{"a": 1}"#.into()).unwrap();
    let sent = call("rates", "{}", Some(&payment)).unwrap();
    assert!(sent.ends_with(r#""arguments":{},"_meta":{"x402/payment":{"a": 1}}}}"#), "{sent}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in ".{0,200}", result in ".{0,200}") {
        let _ = heard(None, &body);
        let _ = heard(Some("text/event-stream"), &body);
        let _ = Called::read(result.clone());
        let _ = Called::read(format!(r#"{{"isError":true,"structuredContent":{result}}}"#));
        let _ = Session::read(&HeaderMap::new(), &result);
    }
}
