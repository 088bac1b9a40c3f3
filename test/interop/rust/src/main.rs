//! A VMM's client in Rust: everything that a session does, once through.
//!
//! Prints one JSON object a line for each step; 64-bit numbers are strings there, since JSON's
//! numbers are doubles. Any surprise ends it. The scenarios:
//!
//! - `tour`: open, attach, allocate, bind, invalidate, the Control stream, refusals, free, close
//! - `hold`: open, allocate a block and bind all of it, then stay until stdin ends, and leave it

mod control;
mod errors;
mod operator;
mod session;

use std::collections::HashMap;
use std::io::Read;
use std::time::Duration;

use pasid::pasid_broker_client::PasidBrokerClient;
use serde_json::{Value, json};
use session::{Session, table};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

#[allow(clippy::all, rustdoc::all)]
pub mod pasid {
    tonic::include_proto!("pasid.v1");
}

pub type Failure = Box<dyn std::error::Error>;

const TIMEOUT: Duration = Duration::from_secs(20);
/// The greatest that the fields take: a table just below 2^52, the last page below 2^64.
pub const TABLE_MAX: u64 = (1 << 52) - 4096;
pub const LAST_PAGE: u64 = u64::MAX - 4095;

/// One line of output.
pub fn say(step: &str, mut facts: Value) {
    facts["step"] = json!(step);
    println!("{facts}");
}

pub async fn connect(socket: &str) -> Result<Channel, Failure> {
    let endpoint = Endpoint::from_shared(format!("unix:{socket}"))?;
    Ok(endpoint.timeout(TIMEOUT).connect().await?)
}

async fn server(channel: &Channel) -> Result<(), Failure> {
    let health =
        HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await?.into_inner();
    let info = PasidBrokerClient::new(channel.clone())
        .get_server_info(pasid::GetServerInfoRequest {})
        .await?
        .into_inner();
    let hold = info.hold.unwrap_or_default();
    let caller = info.caller.unwrap_or_default().process.unwrap_or_default();
    say(
        "server",
        json!({
            "health": health.status().as_str_name(),
            "version": info.version,
            "incarnation": info.incarnation,
            "backend": info.backend,
            "writable": info.writable,
            "hold_ms": hold.seconds * 1000 + i64::from(hold.nanos) / 1_000_000,
            "message_bytes": info.limits.unwrap_or_default().message_bytes,
            "recovered_revision": info.recovered_revision.to_string(),
            "caller": [caller.pid, caller.uid, caller.gid],
        }),
    );
    Ok(())
}

async fn tour(channel: &Channel, vm: &str, admin_socket: Option<&str>) -> Result<(), Failure> {
    let mut session = Session::open(channel, vm).await?;
    session.attach().await?;
    let grants = session.allocate().await?;
    session.retry().await?;
    session.bind(grants.pasid).await?;
    session.invalidate(grants.pasid).await?;
    session.list_pasids(&grants).await?;
    control::control(&mut session, grants.block).await?;
    session.refusals().await?;
    session.get_session().await?;
    if let Some(socket) = admin_socket {
        operator::operator(socket, &session.name, &grants).await?;
    }
    session.free_and_close().await
}

async fn hold(channel: &Channel, vm: &str) -> Result<(), Failure> {
    let mut session = Session::open(channel, vm).await?;
    let request = pasid::AttachDeviceRequest {
        session: session.name.clone(),
        device: "devices/emu0".into(),
        ..Default::default()
    };
    session.broker.attach_device(session.with_token(request)).await?;
    let ask = pasid::allocate_pasids_request::Ask::Block(pasid::NumberBlock { size: 16 });
    let block = session.grant("hold", ask, Default::default()).await?.ranges[0];
    for pasid in block.first..=block.last {
        let request = pasid::BindPasidRequest {
            session: session.name.clone(),
            target: Some(pasid::bind_pasid_request::Target::Pasid(pasid)),
            devices: vec!["devices/emu0".into()],
            table: table(TABLE_MAX, 48),
            ..Default::default()
        };
        session.broker.bind_pasid(session.with_token(request)).await?;
    }
    say(
        "hold",
        json!({
            "session": session.name, "first": block.first, "last": block.last,
        }),
    );
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// `--name value` pairs.
fn options() -> Result<HashMap<String, String>, Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let pairs = words.chunks(2).map(|pair| match pair {
        [name, value] => Ok((name.clone(), value.clone())),
        _ => Err(format!("{pair:?} has no value").into()),
    });
    pairs.collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let options = options()?;
    let option = |name: &str| options.get(name).map(String::as_str);
    let channel = connect(option("--vmm-socket").ok_or("--vmm-socket is missing")?).await?;
    let vm = option("--vm").unwrap_or("rust");
    match option("--scenario").unwrap_or("tour") {
        "tour" => {
            server(&channel).await?;
            tour(&channel, vm, option("--admin-socket")).await
        }
        "hold" => hold(&channel, vm).await,
        other => Err(format!("no scenario {other}").into()),
    }
}
