//! Calls that are under way: equal ones share one answer, so that it is paid for once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::UpstreamError;
use crate::client::Answer;
use crate::journal::CallKey;

/// The calls under way, by what is asked. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenCalls(Arc<Mutex<HashMap<CallKey, OpenCall>>>);

#[derive(Debug, Default)]
struct OpenCall {
    /// How many wait for the answer; with the last of them the entry goes.
    n_waiting: usize,
    answer: Arc<OnceCell<Answer>>,
}

impl OpenCalls {
    /// The answer of an equal call that is under way, or else what `ask` brings. When the one that asks fails, it alone has the
    /// error, and the next one asks.
    pub(crate) async fn share<F: Future<Output = Result<Answer, UpstreamError>>>(
        &self,
        key: &CallKey,
        ask: impl FnOnce() -> F,
    ) -> Result<Answer, UpstreamError> {
        let waiting = self.join(key);
        waiting.answer.get_or_try_init(ask).await.cloned()
    }

    fn join<'a>(&'a self, key: &'a CallKey) -> Waiting<'a> {
        let mut calls = self.lock();
        let call = calls.entry(key.clone()).or_default();
        call.n_waiting += 1;
        Waiting { calls: self, key, answer: call.answer.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<CallKey, OpenCall>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that waits for an answer, however it ends.
struct Waiting<'a> {
    calls: &'a OpenCalls,
    key: &'a CallKey,
    answer: Arc<OnceCell<Answer>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut calls = self.calls.lock();
        let Some(call) = calls.get_mut(self.key) else { return };
        call.n_waiting -= 1;
        if call.n_waiting == 0 {
            calls.remove(self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::runtime::Builder;
    use tollgate_routing::TokenUsage;
    use tollgate_wire::{ChatResponse, Extra};

    use super::*;
    use crate::AnswerCost;

    fn answer(latency_ms: u32) -> Answer {
        let response = ChatResponse { id: None, model: None, choices: Vec::new(), usage: None, extra: Extra::new() };
        Answer { response, usage: TokenUsage::default(), cost: AnswerCost::Metered, latency_ms }
    }

    /// What two equal calls at the same time bring, of which the first asks at once and the second after it has begun to wait;
    /// and how many of them asked.
    fn ask_twice(first: Result<Answer, UpstreamError>) -> ([Result<Answer, UpstreamError>; 2], u32) {
        let (calls, n_asked) = (OpenCalls::default(), Cell::new(0));
        let key = CallKey { episode: "e".to_owned(), step_idx: 0, request_digest: "d".to_owned() };
        let ask = |outcome: Result<Answer, UpstreamError>| async {
            n_asked.set(n_asked.get() + 1);
            tokio::task::yield_now().await;
            outcome
        };
        let both = async { tokio::join!(calls.share(&key, || ask(first)), calls.share(&key, || ask(Ok(answer(2))))) };
        let (first, second) = Builder::new_current_thread().build().unwrap().block_on(both);
        assert!(calls.lock().is_empty());
        ([first, second], n_asked.get())
    }

    #[test]
    fn the_second_of_two_equal_calls_has_the_answer_of_the_first() {
        assert_eq!(ask_twice(Ok(answer(1))), ([Ok(answer(1)), Ok(answer(1))], 1));
    }

    #[test]
    fn the_second_of_two_equal_calls_asks_when_the_first_has_failed() {
        assert_eq!(ask_twice(Err(UpstreamError::Stopped)), ([Err(UpstreamError::Stopped), Ok(answer(2))], 2));
    }
}
