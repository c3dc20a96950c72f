//! Changes an experiment while it runs: another setting, a pause. The level under way ends, is drained and keeps its figures; the next has what was
//! asked for, so that no figure spans two settings.

use crate::setting::{Setting, Who};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What is changed of the setting; the rest stays.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Change {
    /// Users, or connections: the loop is closed then.
    pub users: Option<u32>,
    /// Requests or rounds a second: the loop is open then.
    pub rate: Option<f64>,
    /// Users that begin a second.
    pub spawn: Option<f64>,
}

/// A handle on the experiment under way. Cheap to clone; all clones are the same handle.
#[derive(Debug, Clone, Default)]
pub struct Control(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Ends the level under way.
    level: Option<CancellationToken>,
    change: Option<Change>,
    /// The level under way has been ended for a pause, or begins anew after it.
    again: bool,
    paused: bool,
}

impl Control {
    /// Ends the level under way, and begins the next with this changed.
    pub fn change(&self, change: Change) {
        let mut state = self.lock();
        let before = state.change.unwrap_or_default();
        let both = Change {
            users: change.users.or(before.users.filter(|_| change.rate.is_none())),
            rate: change.rate.or(before.rate.filter(|_| change.users.is_none())),
            spawn: change.spawn.or(before.spawn),
        };
        state.change = Some(both);
        state.end_level();
    }

    /// Ends the level under way, and begins none until it is told to [`go_on`](Self::go_on).
    pub fn pause(&self) {
        let mut state = self.lock();
        (state.paused, state.again) = (true, true);
        state.end_level();
    }

    /// Begins again what was paused.
    pub fn go_on(&self) {
        self.lock().paused = false;
        self.0.changed.notify_waiters();
    }

    /// Whether no level is to begin.
    pub fn is_paused(&self) -> bool {
        self.lock().paused
    }

    /// A panic elsewhere leaves the wishes as they were.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end_level(&self) {
        if let Some(level) = &self.level {
            level.cancel();
        }
    }
}

/// The levels of a plan, those that are left and those that somebody asks for meanwhile.
#[derive(Debug)]
pub struct Levels {
    left: VecDeque<Setting>,
    begun: Vec<Setting>,
    control: Control,
}

/// A level that may begin.
#[derive(Debug)]
pub struct Next {
    /// What is loaded.
    pub setting: Setting,
    /// Counted from 1.
    pub number: usize,
    /// How many are known by now.
    pub of: usize,
    /// Ends it.
    pub end: CancellationToken,
}

impl Levels {
    /// These levels, which `control` changes.
    pub fn new(levels: &[Setting], control: &Control) -> Self {
        Self { left: levels.iter().cloned().collect(), begun: Vec::new(), control: control.clone() }
    }

    /// Whether none is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Adds some at the end.
    pub(crate) fn extend(&mut self, settings: impl IntoIterator<Item = Setting>) {
        self.left.extend(settings);
    }

    /// Whether the next has to wait until somebody lets it begin.
    pub fn is_paused(&self) -> bool {
        self.control.is_paused()
    }

    /// The next level, once it may begin; none where none is left, or where `stop` comes.
    pub async fn next(&mut self, stop: &CancellationToken) -> Option<Next> {
        loop {
            let changed = self.control.0.changed.notified();
            if !self.control.is_paused() {
                break;
            }
            stop.run_until_cancelled(changed).await?;
        }
        let mut state = self.control.lock();
        let change = state.change.take();
        let again = std::mem::take(&mut state.again);
        let mut setting = match self.begun.last() {
            Some(last) if change.is_some() || again => last.clone(),
            _ => self.left.pop_front()?,
        };
        setting.apply(change.unwrap_or_default());
        // A run is known by the name of its level.
        while self.begun.iter().any(|begun| begun.name() == setting.name()) {
            (setting.repeat, setting.repeated) = (setting.repeat + 1, true);
        }
        self.begun.push(setting.clone());
        let end = stop.child_token();
        state.level = Some(end.clone());
        let number = self.begun.len();
        Some(Next { setting, number, of: number + self.left.len(), end })
    }
}

impl Setting {
    fn apply(&mut self, change: Change) {
        if change != Change::default() {
            (self.repeat, self.repeated) = (1, false);
        }
        self.spawn = change.spawn.or(self.spawn);
        match change {
            Change { rate: Some(rate), .. } => {
                self.rate = Some(rate);
                self.connections = self.connections.max(1);
            }
            Change { users: Some(users), .. } => (self.connections, self.rate) = (users, None),
            _ => return,
        }
        if self.who == Who::Stages {
            self.who = Who::Users;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(levels: &Levels) -> Vec<String> {
        levels.begun.iter().map(Setting::name).collect()
    }

    fn levels(control: &Control) -> Levels {
        let settings = Setting::all(&[(1, None), (2, None)], Who::Connections, 1, 0, None);
        Levels::new(&settings, control)
    }

    #[tokio::test]
    async fn a_change_ends_the_level_and_begins_another() {
        let (control, stop) = (Control::default(), CancellationToken::new());
        let mut levels = levels(&control);
        let first = levels.next(&stop).await.unwrap();
        assert_eq!((first.number, first.of, first.end.is_cancelled()), (1, 2, false));
        control.change(Change { users: Some(7), ..Change::default() });
        assert!(first.end.is_cancelled());
        let second = levels.next(&stop).await.unwrap();
        assert_eq!((second.number, second.of, second.end.is_cancelled()), (2, 3, false));
        control.change(Change { users: Some(9), ..Change::default() });
        // Who asks for a rate asks for no users any more.
        control.change(Change { rate: Some(50.0), ..Change::default() });
        levels.next(&stop).await.unwrap();
        control.change(Change { users: Some(7), ..Change::default() });
        levels.next(&stop).await.unwrap();
        // What the plan has left follows.
        levels.next(&stop).await.unwrap();
        assert_eq!(names(&levels), ["c01", "c07", "r50", "c07.2", "c02"]);
        assert!(levels.next(&stop).await.is_none());
    }

    #[tokio::test]
    async fn what_is_paused_begins_again() {
        let (control, stop) = (Control::default(), CancellationToken::new());
        let mut levels = levels(&control);
        levels.next(&stop).await.unwrap();
        control.pause();
        let going_on = control.clone();
        let (next, ()) = tokio::join!(levels.next(&stop), async move {
            tokio::task::yield_now().await;
            going_on.go_on();
        });
        assert_eq!(next.unwrap().setting.name(), "c01.2");
        control.pause();
        stop.cancel();
        assert!(levels.next(&stop).await.is_none());
    }
}
