//! A stand-in for the provider's partner API and for the WhatsApp V2 API of its lines: it follows the provider's pages "Access
//! Token", "Partner Webhook", those of the lists, "Get Webhook (V2)" and "Set Webhook (V2)", and misbehaves on command.

mod api;
mod lines;
mod lists;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

pub use self::lines::{Line, LineCall};
use crate::server::Server;

/// The accepted client id.
pub const CLIENT_ID: &str = "stand-in-client-id";
/// The client secret that belongs to [`CLIENT_ID`].
pub const CLIENT_SECRET: &str = "stand-in-client-secret";

/// Number of wrong client ids or secrets before the caller is blocked. The provider's own number is not documented.
const WRONG_ATTEMPTS: usize = 5;

/// A call of the partner API, or of the V2 API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// `POST /settings/accessToken`
    AccessToken,
    /// `POST /settings/setWebhook`
    Set,
    /// `GET /settings/getWebhook`
    Get,
    /// `GET /whatsapp/getWhatsApp`
    Lines,
    /// `GET /whatsapp/getAccounts`
    OnboardingLinks,
    /// `GET /whatsapp/getRegisteredNumbers`
    RegisteredNumbers,
    /// `GET /whatsapp/getStores`
    Stores,
    /// `GET /online/getAccounts`
    OnlineAccounts,
    /// `GET /builder/getBuilders`
    Builders,
    /// `POST /getWebhook` of the V2 API
    LineGet,
    /// `POST /setWebhook` of the V2 API
    LineSet,
}

/// A faulty answer to a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers 200 with an HTML page.
    Html,
    /// Answers 200 with an empty body.
    Empty,
    /// Answers 200 with a JSON object that has none of the call's fields.
    WrongJson,
    /// Answers 200 with JSON that never ends.
    Endless,
    /// Answers 302 with the address of the same call.
    Redirect,
    /// Answers with a status and a short text, as proxies do.
    Status(u16),
    /// Answers with a status and a body.
    Answer(u16, String),
    /// Refuses the call with a reason.
    Reason(i64),
    /// Takes the request and never answers.
    Hang,
    /// Takes the request and closes the connection.
    Disconnect,
    /// Set, of either API: answers OK and keeps what was set before.
    SetIgnored,
    /// Forgets all access tokens, then answers correctly.
    TokenExpired,
    /// List: answers with the first half of the correct answer's bytes.
    CutOff,
    /// List: answers without the last element, but with the total of all. Lists without a total are answered correctly.
    WrongTotal,
    /// List: answers with a comma missing, as in the provider's own examples.
    MissingComma,
}

/// The spelling of the URL in answers; the provider's own example has no scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// Unchanged.
    Exact,
    /// Without `https://`.
    WithoutScheme,
    /// With the host's letters in upper case.
    HostInCapitals,
    /// With a slash at the end.
    TrailingSlash,
}

/// The `expiration_time` of a new access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expiration {
    /// The actual time at which the stand-in forgets the token: in one hour.
    True,
    /// No `expiration_time`.
    Missing,
    /// This text.
    Text(String),
}

/// A running stand-in; dropping it ends it.
pub struct Partner {
    server: Server,
    state: Shared,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<State>>);

struct State {
    registered: Option<String>,
    writing: Writing,
    expiration: Expiration,
    access_tokens: Vec<String>,
    forgotten: usize,
    wrong_attempts: usize,
    next: HashMap<Call, VecDeque<Fault>>,
    always: HashMap<Call, Fault>,
    calls: Vec<Call>,
    lists: HashMap<Call, Vec<Value>>,
    phone_lines: BTreeMap<String, Line>,
    line_calls: Vec<LineCall>,
}

impl Partner {
    /// Starts a stand-in on a free port of the loopback interface, with nothing registered.
    ///
    /// # Errors
    /// Fails when no port is free.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(0).await
    }

    /// Starts a stand-in on a port of the loopback interface.
    ///
    /// # Errors
    /// Fails when the port is taken.
    pub async fn start_on(port: u16) -> io::Result<Self> {
        let state = Shared(Arc::new(Mutex::new(State::default())));
        Ok(Self { server: Server::start(port, api::router(state.clone())).await?, state })
    }

    /// Returns the base URL, for `PARTNER_API_BASE_URL`.
    pub fn url(&self) -> String {
        format!("{}/api", self.server.url())
    }

    /// Returns the base URL of the V2 API, for `LINE_API_BASE_URL`.
    pub fn line_api_url(&self) -> String {
        format!("{}/whatsapp/v2", self.server.url())
    }

    /// Queues a fault for the next call of a kind.
    pub fn next(&self, call: Call, fault: Fault) {
        self.state.lock().next.entry(call).or_default().push_back(fault);
    }

    /// Sets the fault for every call of a kind that finds its queue empty.
    pub fn always(&self, call: Call, fault: Fault) {
        self.state.lock().always.insert(call, fault);
    }

    /// Answers correctly from now on.
    pub fn behave(&self) {
        let mut state = self.state.lock();
        state.next.clear();
        state.always.clear();
    }

    /// Spells the URL in this way from now on.
    pub fn write(&self, writing: Writing) {
        self.state.lock().writing = writing;
    }

    /// Sends this expiration with each new access token from now on.
    pub fn announce(&self, expiration: Expiration) {
        self.state.lock().expiration = expiration;
    }

    /// Changes the registered URL without a call, as another user of the same account would.
    pub fn register(&self, url: Option<&str>) {
        self.state.lock().registered = url.map(str::to_owned);
    }

    /// Returns the registered URL.
    pub fn registered(&self) -> Option<String> {
        self.state.lock().registered.clone()
    }

    /// Answers the call of a list with these elements from now on. A list is empty at first.
    pub fn list(&self, call: Call, elements: impl IntoIterator<Item = Value>) {
        self.state.lock().lists.insert(call, elements.into_iter().collect());
    }

    /// Adds a line whose client has finished onboarding: to the list of lines, to that of the onboarding links and to the V2 API. A
    /// line of the same number gets the new key and keeps its webhook.
    pub fn onboard(&self, number: &str, reference: Option<&str>, api_key: &str) {
        self.state.lock().onboard(number, reference, api_key);
    }

    /// Adds or replaces a line of the V2 API alone.
    pub fn put_line(&self, number: &str, line: Line) {
        self.state.lock().phone_lines.insert(number.to_owned(), line);
    }

    /// Removes a line from the V2 API.
    pub fn remove_line(&self, number: &str) {
        self.state.lock().phone_lines.remove(number);
    }

    /// Returns a line of the V2 API.
    pub fn line(&self, number: &str) -> Option<Line> {
        self.state.lock().phone_lines.get(number).cloned()
    }

    /// Changes the registered URL of a line without a call, as another system would; `None` clears it. An unknown line is left out.
    pub fn register_line(&self, number: &str, url: Option<&str>) {
        if let Some(line) = self.state.lock().phone_lines.get_mut(number) {
            url.unwrap_or_default().clone_into(&mut line.url);
        }
    }

    /// Returns the calls of the V2 API since the last call of this method, in order, including those with a fault.
    pub fn take_line_calls(&self) -> Vec<LineCall> {
        std::mem::take(&mut self.state.lock().line_calls)
    }

    /// Accepts a text as access token, as if it had been granted before.
    pub fn take_access_token(&self, token: &str) {
        self.state.lock().access_tokens.push(token.to_owned());
    }

    /// Forgets all access tokens.
    pub fn forget_access_tokens(&self) {
        self.state.lock().forget_access_tokens();
    }

    /// Returns every access token ever granted or accepted.
    pub fn access_tokens(&self) -> Vec<String> {
        self.state.lock().access_tokens.clone()
    }

    /// Returns the calls so far, in order, including those with a fault.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().calls.clone()
    }

    /// Returns the calls since the last call of this method.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state.lock().calls)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            registered: None,
            writing: Writing::Exact,
            expiration: Expiration::True,
            access_tokens: Vec::new(),
            forgotten: 0,
            wrong_attempts: 0,
            next: HashMap::new(),
            always: HashMap::new(),
            calls: Vec::new(),
            lists: HashMap::new(),
            phone_lines: BTreeMap::new(),
            line_calls: Vec::new(),
        }
    }
}

impl State {
    fn called(&mut self, call: Call, body: &[u8]) -> Option<Fault> {
        self.calls.push(call);
        if matches!(call, Call::LineGet | Call::LineSet) {
            self.line_calls.push(lines::Request::read(body).noted(call));
        }
        let queued = self.next.get_mut(&call).and_then(VecDeque::pop_front);
        queued.or_else(|| self.always.get(&call).cloned())
    }

    fn check_credentials(&mut self, client_id: &str, client_secret: &str) -> Result<(), i64> {
        if self.wrong_attempts >= WRONG_ATTEMPTS {
            return Err(3);
        }
        if (client_id, client_secret) == (CLIENT_ID, CLIENT_SECRET) {
            return Ok(());
        }
        self.wrong_attempts += 1;
        Err(2)
    }

    fn grant(&mut self) -> (String, Option<String>) {
        let token = format!("stand-in-access-token-{}", self.access_tokens.len() + 1);
        self.access_tokens.push(token.clone());
        let expiration = match &self.expiration {
            Expiration::True => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Some((now + Duration::from_secs(3600)).as_secs().to_string())
            }
            Expiration::Missing => None,
            Expiration::Text(text) => Some(text.clone()),
        };
        (token, expiration)
    }

    fn knows(&self, token: &str) -> bool {
        self.access_tokens.iter().skip(self.forgotten).any(|known| known == token)
    }

    fn forget_access_tokens(&mut self) {
        self.forgotten = self.access_tokens.len();
    }
}

impl Writing {
    fn of(self, url: &str) -> String {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        match self {
            Self::Exact => url.to_owned(),
            Self::WithoutScheme => rest.to_owned(),
            Self::HostInCapitals => match rest.split_once('/') {
                Some((host, path)) => format!("{scheme}://{}/{path}", host.to_uppercase()),
                None => format!("{scheme}://{}", rest.to_uppercase()),
            },
            Self::TrailingSlash => format!("{url}/"),
        }
    }
}
