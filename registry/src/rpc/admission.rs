//! Who may call what, how often; every refusal leaves a line in the log.

use crate::{
    clock::now_ms,
    datastore::Register,
    limits::{Rate, RateLimiter},
    metrics::Metrics,
};
use chroom_primitives::{NodeId, Role};
use chroom_rpc::tls::Peer;
use parking_lot::Mutex;
use std::sync::Arc;
use tonic::{Code, Request, Status};

/// Calls per node, streams of answers counting once.
const RATE: Rate = Rate { burst: 400.0, per_second: 100.0 };

/// The door of the gRPC interface.
#[derive(Clone)]
pub struct Admission {
    register: Arc<Register>,
    limiter: Arc<Mutex<RateLimiter<NodeId>>>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admission").finish_non_exhaustive()
    }
}

impl Admission {
    /// Admits by the register's membership.
    pub fn new(register: Arc<Register>, metrics: Arc<Metrics>) -> Self {
        Self { register, limiter: Arc::new(Mutex::new(RateLimiter::new(RATE))), metrics }
    }

    /// The caller, if it is a node in service in one of `roles` (any, if empty) and does not call too often.
    pub fn admit<T>(&self, request: &Request<T>, method: &'static str, roles: &[Role]) -> Result<NodeId, Status> {
        let caller = Peer::of(request)?;
        self.check(caller, roles).map_err(|status| self.refuse(caller, method, status))?;
        Ok(caller)
    }

    fn check(&self, caller: NodeId, roles: &[Role]) -> Result<(), Status> {
        if !self.limiter.lock().admit(caller, 1.0, now_ms()) {
            return Err(Status::resource_exhausted("more than 100 calls a second: slow down"));
        }
        let members = self.register.members();
        if members.nodes.is_empty() {
            return Err(Status::unavailable("this registry does not follow the chain yet: try again in a few seconds"));
        }
        let Some(registration) = members.get(&caller) else {
            return Err(Status::permission_denied(format!(
                "node {caller} is not registered on the chain (as of finalised block {}): register it with a stake first",
                members.block
            )));
        };
        if !registration.status.is_member() {
            return Err(Status::permission_denied(format!(
                "node {caller} is {} on the chain: only active and draining nodes are served",
                super::status_name(registration.status)
            )));
        }
        if !roles.is_empty() && !roles.contains(&registration.role) {
            let wanted: Vec<&str> = roles.iter().map(|role| super::role_name(*role)).collect();
            return Err(Status::permission_denied(format!(
                "node {caller} is registered as {}; this call is for {}",
                super::role_name(registration.role),
                wanted.join(" or ")
            )));
        }
        Ok(())
    }

    /// Logs a refusal and counts it.
    pub fn refuse(&self, caller: NodeId, method: &'static str, status: Status) -> Status {
        let code = code_name(status.code());
        tracing::warn!(%caller, method, code, reason = status.message(), "call refused");
        self.metrics.refused.get_or_create(&vec![("code", code.to_owned())]).inc();
        status
    }
}

fn code_name(code: Code) -> &'static str {
    match code {
        Code::PermissionDenied => "permission_denied",
        Code::InvalidArgument => "invalid_argument",
        Code::AlreadyExists => "already_exists",
        Code::ResourceExhausted => "resource_exhausted",
        Code::Unavailable => "unavailable",
        Code::NotFound => "not_found",
        Code::Unauthenticated => "unauthenticated",
        _ => "internal",
    }
}
