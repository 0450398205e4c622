//! The inspector: pages on this machine's loopback interface that show the deliveries, states and registration of a local run
//! or a stack.

mod actions;
mod assets;
mod body;
mod chart;
mod deliveries;
mod delivery;
mod entity;
mod filter;
mod guard;
mod layout;
mod ledger_bar;
mod live;
mod problem;
mod registration;
mod row;
mod states;
mod timeline;

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Path},
    middleware,
    response::Redirect,
    routing::{get, post},
};
use shared::Timestamp;
use store::{Reader, RegistrationLedger};
use tokio::{net::TcpListener, task::JoinHandle};

pub use self::actions::{Action, Actions};
use self::{actions::Notice, guard::Guard, live::Live};

/// How many deliveries, states or entries of a history a page has.
const PAGE: u16 = 50;

/// The most bytes of a form.
const FORM: usize = 4 * 1024;

/// The local run or the stack that the pages show.
pub struct Source {
    /// Its deliveries and states, from which the secrets are taken out.
    pub reader: Reader,
    /// Its registration.
    pub ledger: RegistrationLedger,
    /// How long before and after an event its repetition is a duplicate.
    pub dedup_window: Duration,
    /// The stack's name; `None` for the local run.
    pub stack: Option<String>,
    /// The arguments that make a command of `hooks` be about it, as a shell reads them, each with a blank in front.
    pub arguments: String,
    /// What the pages can do; `None` for a stack, which is only looked at.
    pub actions: Option<Actions>,
}

/// A running inspector; it ends when this is dropped.
pub struct Inspector {
    url: String,
    port: u16,
    server: JoinHandle<std::io::Result<()>>,
}

/// What the pages are made from.
struct Shown {
    source: Source,
    live: Arc<Live>,
    /// What the last action came to, until a page has shown it.
    notice: Mutex<Option<Notice>>,
}

type App = axum::extract::State<Arc<Shown>>;

impl Inspector {
    /// Serves the pages on a port of 127.0.0.1, or on a free one if that is taken.
    ///
    /// # Errors
    /// When no port is free, or the system has no random bytes for the token.
    pub async fn start(source: Source, port: u16) -> Result<Self> {
        let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port on 127.0.0.1")?,
        };
        let address = listener.local_addr()?;
        let guard = Guard::new(address.port())?;
        let url = guard.url();
        let server = axum::serve(listener, router(source, guard));
        Ok(Self { url, port: address.port(), server: tokio::spawn(server.into_future()) })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is: with the token, without which nothing is shown.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn router(source: Source, guard: Guard) -> Router {
    let has_actions = source.actions.is_some();
    let live = Arc::new(Live::new(source.reader.clone(), source.stack.is_none()));
    let shown = Arc::new(Shown { source, live, notice: Mutex::new(None) });
    let pages = Router::new()
        .route("/{token}", get(async |Path(token): Path<String>| Redirect::permanent(&format!("{token}/"))))
        .route("/{token}/", get(deliveries::page))
        .route("/{token}/live", get(live::stream))
        .route("/{token}/delivery", get(delivery::page))
        .route("/{token}/entity", get(entity::page))
        .route("/{token}/states", get(states::page))
        .route("/{token}/registration", get(registration::page))
        .route("/{token}/inspector.css", get(assets::style))
        .route("/{token}/inspector.js", get(assets::script))
        .route("/{token}/icon.svg", get(assets::icon));
    // A stack is only looked at.
    let pages = if has_actions {
        pages.route("/{token}/send", post(actions::send)).route("/{token}/sync", post(actions::sync))
    } else {
        pages
    };
    pages
        .fallback(async || problem::Problem::NotFound("This page does not exist.".to_owned()))
        .with_state(shown)
        .layer(DefaultBodyLimit::max(FORM))
        .layer(middleware::from_fn_with_state(Arc::new(guard), guard::check))
}

fn now() -> Timestamp {
    SystemTime::now().into()
}
