//! What the owner sees of the desk and its payments, made from the books.

use crate::desk::Desk;
use crate::pay::{at_ms, at_s};
use crate::problem::bad_input;
use crate::shared::BOUNDING;
use crate::trust::CONTRADICTS;
use crate::view::*;
use crate::wording::{finding_sentence, finding_view, outcome, sentence, word};
use imprest_chain::At;
use imprest_domain::{Effect, PaymentId, PaymentState, Units, Window};
use imprest_ledger::{
    ApprovalRecord, COUNT_MAX, Findings, HeadCopy, LedgerError, PaymentFilter, PaymentRecord,
};
use jiff::Timestamp;
use std::sync::atomic::Ordering;

/// How many rows the live list shows.
const LIVE_ROWS: u32 = 20;
/// The most rows one page of activity has.
const PAGE_ROWS_MAX: u32 = 200;

/// Rounded up, so that what is not over yet never shows as over.
fn whole_seconds(span: std::time::Duration) -> u32 {
    let seconds = span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0));
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

impl Desk {
    /// How the desk is doing.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn status(&self) -> Result<DeskStatus, Problem> {
        let inner = &self.inner;
        let totals = inner.ledger.totals().await?;
        let (keychain, keychain_note) = self.keychain_words().await;
        let endpoints = self.endpoints();
        let block = inner.block.load(Ordering::Relaxed);
        let (danger, danger_why) = inner.danger_and_why(None).await;
        let (locks, left) = (inner.locks(), inner.presence_left());
        Ok(DeskStatus {
            stage: match inner.vault() {
                None => "new".into(),
                Some(vault) if vault.is_unlocked() => "open".into(),
                Some(_) => "locked".into(),
            },
            practice: inner.practice_mode,
            frozen: inner.ledger.is_frozen().await?,
            danger: danger.word().into(),
            danger_why: danger_why.as_deref().map(sentence),
            signals: self.open_signals().await?,
            clock_behind_s: inner
                .ledger
                .clock_behind()
                .map(|behind| u32::try_from(behind.as_secs()).unwrap_or(u32::MAX)),
            keychain,
            keychain_note,
            copy_note: inner.trust.copy_note().map(str::to_owned),
            restored_note: self.restored_note().await?,
            backup: self.backup_view().await?,
            network: NetworkView {
                name: inner.network.name.clone(),
                id: inner.asset.id.network(),
                asset: inner.asset.symbol.clone(),
                contract: inner.asset.id.contract.to_string(),
                reachable: inner.serves && inner.reachable.load(Ordering::Relaxed),
                block: (block > 0).then_some(block),
                treasury: inner.treasury().map(|address| address.to_string()),
            },
            http_url: endpoints.http_url,
            mcp_url: endpoints.mcp_url,
            shop_url: endpoints.practice.map(|practice| practice.shop),
            waiting: totals.waiting,
            agents: totals.agents,
            locks_in_s: inner.locks_in().map(whole_seconds),
            signing_idle_min: locks.signing_idle_min,
            window_idle_min: locks.window_idle_min,
            lock_with_session: locks.with_session,
            system_locks_note: inner.system_locks_note(),
            presence_left_s: (!left.is_zero()).then(|| whole_seconds(left)),
            window_locked: inner.window_is_locked(),
            vault_note: inner.vault_note(),
            data_dir: inner.place.dir().display().to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
            seq: inner.ledger.head().seq,
        })
    }

    /// The home screen.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn overview(&self) -> Result<Overview, Problem> {
        let inner = &self.inner;
        let asset = &inner.asset;
        let (mut spent, mut in_flight) = (Units::ZERO, Units::ZERO);
        let (mut pace, mut warnings) = (Vec::new(), Vec::new());
        let mood = inner.mood().await;
        let agents = inner.ledger.agents().await?;
        for agent in &agents {
            let balance = inner.ledger.balance(&agent.id).await?;
            let today =
                inner.ledger.window_use(agent.id.as_str(), &agent.budget, Window::Day).await?;
            spent = add(spent, today.settled);
            in_flight = add(in_flight, balance.held);
            if !agent.revoked {
                pace.extend(self.pace(agent).await?);
                warnings.extend(self.agent_warnings(agent).await?);
            }
        }
        let shared = inner.ledger.shared_budgets().await?;
        for it in &shared {
            warnings.extend(self.shared_warnings(it).await?);
        }
        let at_worst = self.all_losable(&agents, &shared, &mood).await?;
        let rows = inner.ledger.payments(&PaymentFilter::default(), None, LIVE_ROWS).await?;
        Ok(Overview {
            asset: asset.symbol.clone(),
            date: inner.ledger.now().to_zoned(jiff::tz::TimeZone::system()).date().to_string(),
            spent_today: asset.format(spent),
            in_flight: asset.format(in_flight),
            at_worst_today: asset.format(at_worst),
            warnings,
            approvals: self.approvals().await?,
            live: self.activity_rows(&rows.payments).await?,
            pace,
        })
    }

    /// Questions that wait, oldest first.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn approvals(&self) -> Result<Vec<ApprovalCard>, Problem> {
        let mut cards = Vec::new();
        for approval in self.inner.ledger.waiting_approvals().await? {
            cards.push(self.approval_card(&approval).await?);
        }
        Ok(cards)
    }

    /// The five facts of a question, from the books and never from the agent's prose.
    pub(crate) async fn approval_card(
        &self,
        approval: &ApprovalRecord,
    ) -> Result<ApprovalCard, Problem> {
        let (inner, payment) = (&self.inner, &approval.payment);
        let asset = &inner.asset;
        let agent = inner.ledger.agent(&payment.agent).await?;
        let mut left_after = None;
        for window in BOUNDING {
            let Some(limit) = agent.budget.limit(window) else { continue };
            let holder = agent.id.as_str();
            let used = inner.ledger.window_use(holder, &agent.budget, window).await?;
            let left = limit
                .saturating_sub(used.settled)
                .saturating_sub(used.held)
                .saturating_sub(payment.value);
            left_after = Some(format!(
                "{} of {} left {}",
                asset.format(left),
                asset.format(limit),
                this_window(window)
            ));
            break;
        }
        Ok(ApprovalCard {
            id: approval.approval.to_string(),
            payment_id: payment.payment.to_string(),
            agent: agent.name.to_string(),
            agent_id: agent.id.to_string(),
            what: payment.what.clone(),
            amount: asset.format(payment.value),
            asset: asset.symbol.clone(),
            origin: self.payee_name(&payment.payee.origin),
            pay_to: payment.payee.pay_to.to_string(),
            url: payment.url.clone(),
            reasons: payment
                .verdict
                .reasons
                .iter()
                .filter(|reason| reason.effect == Effect::Ask)
                .map(|reason| finding_sentence(reason, asset))
                .collect(),
            left_after,
            changes: self.changes_since(payment).await?,
            purpose: payment.purpose.clone(),
            task: payment.task.clone(),
            asked_at: at_ms(approval.asked_ms),
            expires_at: at_ms(approval.expires_ms),
        })
    }

    /// What is different from the last time the same was bought at the same place.
    async fn changes_since(&self, payment: &PaymentRecord) -> Result<Vec<String>, Problem> {
        let asset = &self.inner.asset;
        let last = self.inner.ledger.last_price(&payment.payee, &payment.url).await?;
        let Some(last) = last else { return Ok(Vec::new()) };
        let (was, at) = (last.value, last.at_ms);
        let mut changes = vec![if last.pay_to == payment.payee.pay_to {
            "The address is unchanged.".to_owned()
        } else {
            format!("The address is another one than last time: it was {}.", last.pay_to)
        }];
        if was != payment.value {
            let day = Timestamp::from_millisecond(at)
                .unwrap_or_default()
                .to_zoned(jiff::tz::TimeZone::system())
                .strftime("%-d %B, %H:%M")
                .to_string();
            changes.insert(
                0,
                format!(
                    "Price is {}: {} → {} since {day}.",
                    price_move(was, payment.value),
                    asset.format(was),
                    asset.format(payment.value)
                ),
            );
        }
        Ok(changes)
    }

    /// What happened, newest first.
    ///
    /// # Errors
    /// `bad_input` for a filter that cannot be read, or when the books cannot be.
    pub async fn activity(
        &self,
        filter: ActivityFilter,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<ActivityPage, Problem> {
        let filter = self.read_filter(&filter).await?;
        let before = cursor
            .map(|text| text.parse::<u64>())
            .transpose()
            .map_err(|_| bad_input("Cursor", "it is none this desk gave"))?;
        let limit = limit.clamp(1, PAGE_ROWS_MAX);
        let page = self.inner.ledger.payments(&filter, before, limit).await?;
        let total = self.inner.ledger.count_payments(&filter).await?;
        Ok(ActivityPage {
            rows: self.activity_rows(&page.payments).await?,
            next_cursor: page.next_before_seq.map(|seq| seq.to_string()),
            total,
            // Without a filter the books keep count; with one they stop counting there.
            total_is_exact: total < COUNT_MAX || filter == PaymentFilter::default(),
        })
    }

    pub(crate) async fn read_filter(
        &self,
        filter: &ActivityFilter,
    ) -> Result<PaymentFilter, Problem> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let moment = |field: &str, text: &Option<String>| {
            given(text)
                .map(|text| text.parse::<Timestamp>().map(|at| at.as_millisecond()))
                .transpose()
                .map_err(|_| bad_input(field, "write a time such as 2026-11-22T00:00:00Z"))
        };
        let agent = match given(&filter.agent_id) {
            Some(agent) => Some(self.inner.ledger.find_agent(&agent).await?.id),
            None => None,
        };
        let state = given(&filter.state)
            .map(|state| {
                PaymentState::from_word(&state)
                    .ok_or_else(|| bad_input("State", "there is no such state"))
            })
            .transpose()?;
        Ok(PaymentFilter {
            agent,
            state,
            text: given(&filter.text).map(|text| text.chars().take(200).collect()),
            from_ms: moment("From", &filter.from)?,
            until_ms: moment("Until", &filter.until)?,
        })
    }

    pub(crate) async fn activity_rows(
        &self,
        records: &[PaymentRecord],
    ) -> Result<Vec<ActivityRow>, Problem> {
        let agents = self.inner.ledger.agents().await?;
        Ok(records
            .iter()
            .map(|record| {
                let agent = agents.iter().find(|agent| agent.id == record.agent);
                self.row(record, agent.map_or_else(String::new, |agent| agent.name.to_string()))
            })
            .collect())
    }

    pub(crate) async fn activity_row(
        &self,
        record: &PaymentRecord,
    ) -> Result<ActivityRow, Problem> {
        let agent = self.inner.ledger.agent(&record.agent).await?;
        Ok(self.row(record, agent.name.to_string()))
    }

    fn row(&self, record: &PaymentRecord, agent: String) -> ActivityRow {
        ActivityRow {
            payment_id: record.payment.to_string(),
            at: at_ms(record.at_ms),
            agent,
            agent_id: record.agent.to_string(),
            what: record.what.clone(),
            payee: self.payee_name(&record.payee.origin),
            amount: self.inner.asset.format(record.value),
            asset: self.inner.asset.symbol.clone(),
            state: record.state.word().into(),
            outcome: outcome(record, &self.inner.asset),
        }
    }

    /// The desk's own shop by its name, everyone else by where they are.
    pub(crate) fn payee_name(&self, origin: &str) -> String {
        if self.inner.shop_origin.as_deref() == Some(origin) {
            return "Corner shop".into();
        }
        let plain = origin.strip_prefix("transfer:").unwrap_or(origin);
        plain.split_once("://").map_or(plain, |(_, host)| host).to_owned()
    }

    /// Everything known about one payment.
    ///
    /// # Errors
    /// `not_found`, or when the books cannot be read.
    pub async fn evidence(&self, payment: String) -> Result<Evidence, Problem> {
        let id: PaymentId = payment.parse().map_err(|e| bad_input("Payment", e))?;
        let ledger = &self.inner.ledger;
        let record = ledger.payment(&id).await?;
        let approval = ledger.approval_about(&id).await?;
        let asset = &self.inner.asset;
        let receipt = self.inner.kept(&record).await?.receipt.map(SignedReceiptView::from);
        Ok(Evidence {
            receipt,
            row: self.activity_row(&record).await?,
            from: match &record.from {
                Some(from) => from.clone(),
                None => ledger.agent(&record.agent).await?.address.to_string(),
            },
            url: record.url,
            method: record.method,
            pay_to: record.payee.pay_to.to_string(),
            network: record.payee.asset.network(),
            contract: record.payee.asset.contract.to_string(),
            purpose: record.purpose,
            verdict: word(&record.verdict.outcome),
            answered_by: approval.as_ref().and_then(|approval| match approval.state.as_str() {
                "approved" | "refused" => Some("the owner, at the desk".into()),
                "lapsed" => Some("nobody, in time".into()),
                "changed" => Some("nobody: the offer changed first".into()),
                _ => None,
            }),
            grade: record.verdict.grade.to_string(),
            findings: record
                .verdict
                .reasons
                .iter()
                .map(|reason| finding_view(reason, asset))
                .collect(),
            offer: record.offer,
            nonce: record.nonce,
            valid_after: record.valid_after_s.and_then(at_s),
            valid_before: record.valid_before_s.and_then(at_s),
            transaction: record.transaction,
            block: record.block,
            response_sha256: record.response_sha256,
            response_status: record.response_status,
            events: ledger
                .events_of(&id)
                .await?
                .into_iter()
                .map(|event| EventView {
                    seq: event.seq,
                    at: at_ms(event.at_ms),
                    kind: event.kind.replace('_', " "),
                    hash: event.hash,
                })
                .collect(),
        })
    }

    /// Ledger and chain, side by side, at one block.
    ///
    /// # Errors
    /// When the chain does not answer, or moves on faster than it can be read.
    pub async fn books(&self) -> Result<Books, Problem> {
        let (inner, chain) = (&self.inner, self.need_chain()?);
        let agents = inner.ledger.agents().await?;
        let addresses: Vec<_> = agents.iter().map(|agent| agent.address).collect();
        let block = chain.head().await?.number;
        let on_chain = chain.balances(&addresses, At::Block(block)).await?;
        let mut in_flight = Units::ZERO;
        let mut floats = Vec::new();
        for (agent, chain) in agents.iter().zip(on_chain) {
            let balance = inner.ledger.balance(&agent.id).await?;
            in_flight = add(in_flight, balance.held);
            // Until a hold ends the money is still at the float's address.
            let ledger = add(balance.free, balance.held);
            floats.push(BookLine {
                agent: agent.name.to_string(),
                address: agent.address.to_string(),
                ledger: inner.asset.format(ledger),
                chain: inner.asset.format(chain),
                equal: ledger == chain,
            });
        }
        Ok(Books {
            asset: inner.asset.symbol.clone(),
            equal: floats.iter().all(|line| line.equal),
            floats,
            block,
            in_flight: inner.asset.format(in_flight),
        })
    }

    /// Recomputes the hash chain and every projection, and checks the file's own structure.
    ///
    /// # Errors
    /// When the file cannot be read; what is wrong in it is part of the answer.
    pub async fn verify(&self) -> Result<Verified, Problem> {
        let copy = self.head_copy().await;
        let (found, faults) = self.faults(copy).await?;
        if let Some(fault) = faults.first() {
            self.books_broken(fault.trim_end_matches('.').to_owned(), CONTRADICTS).await;
        }
        Ok(Verified {
            events: found.events,
            head: hex::encode(found.head.hash),
            whole: faults.is_empty(),
            faults,
            sealed: found.sealed,
            seal_checked: found.seal_checked,
            copy_checked: copy.is_some(),
        })
    }

    /// Proves the books and looks at the structure of their file; what is wrong, one sentence each.
    pub(crate) async fn faults(
        &self,
        copy: Option<HeadCopy>,
    ) -> Result<(Findings, Vec<String>), LedgerError> {
        let mut found = self.inner.ledger.verify(copy).await?;
        let mut faults = std::mem::take(&mut found.faults);
        faults.extend(self.inner.ledger.check_file().await?);
        Ok((found, faults))
    }
}

/// “up 33 %”, in whole percent of the old price.
fn price_move(was: Units, now: Units) -> String {
    let (way, by) =
        if now > was { ("up", now.saturating_sub(was)) } else { ("down", was.saturating_sub(now)) };
    match by.get().saturating_mul(100).checked_div(was.get()) {
        Some(percent) if percent > 0 => format!("{way} {percent} %"),
        _ => format!("slightly {way}"),
    }
}

/// The sum; the books bound every part of it far below the limit.
pub(crate) fn add(a: Units, b: Units) -> Units {
    a.checked_add(b).unwrap_or(Units::MAX)
}

pub(crate) fn this_window(window: Window) -> &'static str {
    match window {
        Window::Hour => "in these 60 minutes",
        Window::PayeeDay => "today for this payee",
        Window::NewPayeeDay => "today for new payees",
        Window::Day => "today",
        Window::Week => "this week",
        Window::Month => "this month",
        Window::Lifetime => "in all",
    }
}
