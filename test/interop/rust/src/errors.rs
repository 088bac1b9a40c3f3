//! What a program decides by when a call is refused: the details of a google.rpc.Status, never its
//! text.

use serde_json::{Value, json};
use tonic_types::{ErrorInfo, QuotaFailure, RpcStatusExt, StatusExt};

use crate::Failure;

fn facts(code: i32, info: Option<ErrorInfo>, quota: Option<QuotaFailure>) -> Value {
    let info = info.unwrap_or_else(|| ErrorInfo::new("", "", []));
    let violations = quota.map(|quota| quota.violations).unwrap_or_default();
    json!({
        "code": code,
        "reason": info.reason,
        "domain": info.domain,
        "metadata": info.metadata,
        "quota_subjects": violations.iter().map(|one| &one.subject).collect::<Vec<_>>(),
    })
}

/// Of a call's status.
pub fn facts_of(status: &tonic::Status) -> Value {
    let (info, quota) = (status.get_details_error_info(), status.get_details_quota_failure());
    facts(status.code() as i32, info, quota)
}

/// Of a google.rpc.Status, as a Control stream's errors have it.
pub fn facts_of_rpc(status: &tonic_types::Status) -> Value {
    let (info, quota) = (status.get_details_error_info(), status.get_details_quota_failure());
    facts(status.code, info, quota)
}

/// The refusal that a call must have ended with.
pub fn refusal_of<T>(result: Result<T, tonic::Status>) -> Result<Value, Failure> {
    match result {
        Ok(_) => Err("the call was not refused".into()),
        Err(status) => Ok(facts_of(&status)),
    }
}
