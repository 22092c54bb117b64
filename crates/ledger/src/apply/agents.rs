//! Agents and shared budgets: who there is, within which limits.

use super::{Done, Place, misplaced};
use crate::books::Books;
use crate::cell::Json;
use crate::event::Event;
use crate::rows::{AgentRow, SharedRow};

impl Books {
    pub(super) fn apply_to_agents(&mut self, event: &Event, place: Place) -> Done {
        match event {
            Event::AgentAdded { agent, name, account, address, grade, budget, token_sha256 } => {
                self.put(AgentRow {
                    agent: agent.clone(),
                    name: name.to_string(),
                    name_key: name.key(),
                    account: *account,
                    address: *address,
                    grade: *grade,
                    budget: Json(budget.clone()),
                    shared: None,
                    token_sha256: Some(token_sha256.clone()),
                    place: None,
                    questions: Json(Vec::new()),
                    last_ms: None,
                    added_ms: place.at_ms,
                });
                Ok(())
            }
            Event::BudgetSet { agent, budget, carried } => {
                self.carry_windows(agent.as_str(), carried)?;
                self.change_agent(agent, |row| row.budget = Json(budget.clone()))
            }
            Event::GradeSet { agent, grade } => self.change_agent(agent, |row| row.grade = *grade),
            Event::TokenRotated { agent, token_sha256 } => self.change_agent(agent, |row| {
                row.token_sha256 = Some(token_sha256.clone());
                row.place = None;
            }),
            Event::AgentRevoked { agent } => {
                self.change_agent(agent, |row| row.token_sha256 = None)
            }
            Event::AgentShared { agent, shared } => {
                self.change_agent(agent, |row| row.shared = shared.clone())
            }
            Event::PlaceSeen { agent, place } => {
                self.change_agent(agent, |row| row.place = Some(place.clone()))
            }
            Event::SharedAdded { shared, name, budget } => {
                self.put(SharedRow {
                    shared: shared.clone(),
                    name: name.to_string(),
                    name_key: name.key(),
                    budget: Json(budget.clone()),
                    added_ms: place.at_ms,
                });
                Ok(())
            }
            Event::SharedSet { shared, budget, carried } => {
                let row = self.shared(shared)?;
                self.carry_windows(shared.as_str(), carried)?;
                self.put(SharedRow { budget: Json(budget.clone()), ..row });
                Ok(())
            }
            _ => Err(misplaced()),
        }
    }
}
