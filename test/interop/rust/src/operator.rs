//! An operator's look at a session, over the admin socket: what it holds, and its grant as it was
//! seen to happen.

use serde_json::json;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::pasid::{
    ListAllocationsRequest, WatchChange, WatchRequest, WatchStarted,
    operator_client::OperatorClient, watch_event::Event, watch_response::Response,
};
use crate::session::{Grants, address_of, spans};
use crate::{Failure, connect, say};

/// What came first after a revision; more would come for as long as we listen.
async fn watch_from(
    client: &mut OperatorClient<Channel>,
    revision: u64,
) -> Result<(WatchStarted, WatchChange), Failure> {
    let request = WatchRequest { from_revision: Some(revision) };
    let mut stream = client.watch(request).await?.into_inner();
    let first = stream.message().await?.and_then(|message| message.response);
    let second = stream.message().await?.and_then(|message| message.response);
    match (first, second) {
        (Some(Response::Started(started)), Some(Response::Change(change))) => Ok((started, change)),
        other => Err(format!("not a change: {other:?}").into()),
    }
}

pub async fn operator(socket: &str, session: &str, grants: &Grants) -> Result<(), Failure> {
    let channel = connect(socket).await?;
    let health =
        HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await?.into_inner();
    let mut client = OperatorClient::new(channel);
    let request =
        ListAllocationsRequest { filter: format!("session = {session}"), ..Default::default() };
    let rows = client.list_allocations(request).await?.into_inner().allocations;
    // A generation is the revision of its grant.
    let (started, change) = watch_from(&mut client, grants.generation - 1).await?;
    let Some(Event::Numbers(numbers)) = change.events.first().and_then(|one| one.event.as_ref())
    else {
        return Err("the change is not a grant".into());
    };
    let held = rows
        .iter()
        .find(|row| row.pasid == grants.pasid && row.device.is_empty())
        .ok_or("the PASID is not listed")?;
    say(
        "operator",
        json!({
            "health": health.status().as_str_name(),
            "allocations": rows.len(),
            "same_generation": held.generation == grants.generation,
            "tenant": held.tenant,
            "address": address_of(&held.bindings[0]).to_string(),
            "started": started.revision.to_string(),
            "changed": change.revision.to_string(),
            "granted": spans(&numbers.ranges),
        }),
    );
    Ok(())
}
