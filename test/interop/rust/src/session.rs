//! One VM's session: its name, and its secret as metadata of every call.

use serde_json::{Value, json};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use crate::errors::refusal_of;
use crate::pasid::{
    self, AllocationState, BindingState, InvalidationCache, PasidTranslation, Scope, SessionState,
    allocate_pasids_request::Ask,
    bind_pasid_request::{Table, Target},
    free_pasids_request::What as FreeWhat,
    pasid_broker_client::PasidBrokerClient,
};
use crate::{Failure, LAST_PAGE, TABLE_MAX, say};

pub struct Session {
    pub broker: PasidBrokerClient<Channel>,
    pub name: String,
    token: MetadataValue<Ascii>,
}

/// What the later steps need of what was allocated.
pub struct Grants {
    pub pasid: u32,
    pub generation: u64,
    pub block: pasid::PasidRange,
}

pub fn table(address: u64, address_width: u32) -> Option<Table> {
    let table = pasid::FirstStageTable { address, address_width, ..Default::default() };
    Some(Table::FirstStage(table))
}

pub fn address_of(binding: &pasid::Binding) -> u64 {
    match &binding.table {
        Some(pasid::binding::Table::FirstStage(table)) => table.address,
        _ => 0,
    }
}

pub fn spans(ranges: &[pasid::PasidRange]) -> Vec<[u32; 2]> {
    ranges.iter().map(|range| [range.first, range.last]).collect()
}

fn new_uuid() -> Result<String, Failure> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().into())
}

fn numbers(pasids: &[u32]) -> pasid::NumberList {
    pasid::NumberList { pasids: pasids.to_vec() }
}

impl Session {
    pub async fn open(channel: &Channel, vm: &str) -> Result<Self, Failure> {
        let mut broker = PasidBrokerClient::new(channel.clone());
        let request = pasid::OpenSessionRequest {
            request_id: new_uuid()?,
            labels: [("vm".to_string(), vm.to_string())].into(),
            max_pasids: Some(512),
            ..Default::default()
        };
        let opened = broker.open_session(request.clone()).await?.into_inner();
        let again = broker.open_session(request).await?.into_inner();
        let token = opened.token.parse()?;
        let same = opened.token == again.token;
        let (length, seen) = (opened.token.len(), opened.session.ok_or("no session")?);
        say(
            "open_session",
            json!({
                "name": seen.name,
                "tenant": seen.tenant,
                "max_pasids": seen.max_pasids,
                "vm": seen.labels["vm"],
                "token_length": length,
                "same_again": same && again.session.is_some_and(|other| other.name == seen.name),
            }),
        );
        Ok(Self { broker, name: seen.name, token })
    }

    pub fn with_token<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert("pasid-session-token", self.token.clone());
        request
    }

    pub async fn attach(&mut self) -> Result<(), Failure> {
        for name in ["devices/emu0", "devices/emu1"] {
            let request = pasid::AttachDeviceRequest {
                session: self.name.clone(),
                device: name.into(),
                ..Default::default()
            };
            let answer = self.broker.attach_device(self.with_token(request)).await?.into_inner();
            let device = answer.device.ok_or("no device")?;
            say(
                "attach_device",
                json!({
                    "device": device.name,
                    "scope": Scope::try_from(device.scope)?.as_str_name(),
                    "pasid_bits": device.pasid_bits,
                    "translation": PasidTranslation::try_from(device.translation)?.as_str_name(),
                    "address_widths": device.address_widths,
                }),
            );
        }
        Ok(())
    }

    /// `other`: whatever else the request has to say.
    pub async fn grant(
        &mut self,
        name: &str,
        ask: Ask,
        other: pasid::AllocatePasidsRequest,
    ) -> Result<pasid::AllocatePasidsResponse, Failure> {
        let request =
            pasid::AllocatePasidsRequest { session: self.name.clone(), ask: Some(ask), ..other };
        let answer = self.broker.allocate_pasids(self.with_token(request)).await?.into_inner();
        let headroom = answer.headroom.ok_or("no headroom")?;
        say(
            "allocate_pasids",
            json!({
                "ask": name,
                "ranges": spans(&answer.ranges),
                "generation": answer.generation.to_string(),
                "headroom": headroom.session,
                "tenant_limited": headroom.tenant.is_some(),
            }),
        );
        Ok(answer)
    }

    /// One in a range, a block, exact numbers; and numbers of one device.
    pub async fn allocate(&mut self) -> Result<Grants, Failure> {
        let within = |min, max| pasid::AllocatePasidsRequest {
            min: Some(min),
            max: Some(max),
            ..Default::default()
        };
        let of_device = pasid::AllocatePasidsRequest {
            scope: Scope::Device as i32,
            device: "devices/emu1".into(),
            ..Default::default()
        };
        let (one, block) = (Ask::One(pasid::OneNumber {}), pasid::NumberBlock { size: 16 });
        let one = self.grant("one", one, within(300_000, 399_999)).await?;
        let block = self.grant("block", Ask::Block(block), within(400_000, 499_999)).await?;
        let exact = Ask::Exact(numbers(&[700_005, 700_001, 700_003]));
        self.grant("exact", exact, Default::default()).await?;
        self.grant("device", Ask::Exact(numbers(&[1, 2])), of_device).await?;
        Ok(Grants {
            pasid: one.ranges[0].first,
            generation: one.generation,
            block: block.ranges[0],
        })
    }

    /// The same request id: the same answer, or a refusal when the call is another one.
    pub async fn retry(&mut self) -> Result<(), Failure> {
        let request = pasid::AllocatePasidsRequest {
            session: self.name.clone(),
            request_id: new_uuid()?,
            ask: Some(Ask::One(pasid::OneNumber {})),
            min: Some(500_000),
            ..Default::default()
        };
        let other = pasid::AllocatePasidsRequest { min: Some(500_001), ..request.clone() };
        let first = self.with_token(request.clone());
        let first = self.broker.allocate_pasids(first).await?.into_inner();
        let again = self.with_token(request);
        let again = self.broker.allocate_pasids(again).await?.into_inner();
        let reused = refusal_of(self.broker.allocate_pasids(self.with_token(other)).await)?;
        say(
            "retry",
            json!({
                "same_again": first == again,
                "pasid": first.ranges[0].first,
                "reason": reused["reason"],
            }),
        );
        Ok(())
    }

    pub async fn bind(&mut self, pasid: u32) -> Result<(), Failure> {
        let request = pasid::BindPasidRequest {
            session: self.name.clone(),
            target: Some(Target::Pasid(pasid)),
            devices: vec!["devices/emu0".into()],
            table: table(TABLE_MAX, 57),
            domain: 65535,
            guest_pasid: Some(5),
            ..Default::default()
        };
        let rid = pasid::BindPasidRequest {
            session: self.name.clone(),
            target: Some(Target::Rid(true)),
            devices: vec!["devices/emu1".into()],
            table: Some(Table::PassThrough(pasid::PassThrough {})),
            domain: 1,
            ..Default::default()
        };
        let bound = self.broker.bind_pasid(self.with_token(request)).await?.into_inner();
        let later = self.broker.bind_pasid(self.with_token(rid)).await?.into_inner();
        say(
            "bind_pasid",
            json!({
                "revision": bound.revision.to_string(),
                "rid_is_later": later.revision > bound.revision,
            }),
        );
        Ok(())
    }

    pub async fn invalidate(&mut self, pasid: u32) -> Result<(), Failure> {
        use pasid::invalidation_entry::Granularity;
        let iotlb = InvalidationCache::Iotlb as i32;
        let device_tlb = InvalidationCache::DeviceTlb as i32;
        let entry = InvalidationCache::Pasid as i32;
        let domain = pasid::DomainGranularity { domain: 65535 };
        let whole = pasid::PasidGranularity {
            target: Some(pasid::pasid_granularity::Target::Pasid(pasid)),
            ..Default::default()
        };
        let addresses = pasid::AddressGranularity {
            target: Some(pasid::address_granularity::Target::Pasid(pasid)),
            device: "devices/emu0".into(),
            address: LAST_PAGE,
            pages: 1,
            leaf: true,
        };
        let entries = [
            (Granularity::Domain(domain), vec![iotlb, entry]),
            (Granularity::Pasid(whole), vec![iotlb, device_tlb, entry]),
            (Granularity::Addresses(addresses), vec![iotlb, device_tlb]),
        ];
        let entries = entries.map(|(granularity, caches)| pasid::InvalidationEntry {
            granularity: Some(granularity),
            caches,
        });
        let request =
            pasid::InvalidateRequest { session: self.name.clone(), entries: entries.to_vec() };
        let answer = self.broker.invalidate(self.with_token(request)).await?.into_inner();
        say("invalidate", json!({ "done": answer.done, "lost": answer.lost.len() }));
        Ok(())
    }

    /// All pages; and the one binding made so far, as the broker has it.
    pub async fn list_pasids(&mut self, grants: &Grants) -> Result<(), Failure> {
        let (mut rows, mut pages, mut page_token) = (Vec::new(), 0, String::new());
        let last = loop {
            let request =
                pasid::ListPasidsRequest { session: self.name.clone(), page_size: 7, page_token };
            let mut page = self.broker.list_pasids(self.with_token(request)).await?.into_inner();
            rows.append(&mut page.allocations);
            pages += 1;
            if page.next_page_token.is_empty() {
                break page;
            }
            page_token = page.next_page_token;
        };
        let held = rows
            .iter()
            .find(|row| row.pasid == grants.pasid && row.device.is_empty())
            .ok_or("the PASID is not listed")?;
        let binding = &held.bindings[0];
        say(
            "list_pasids",
            json!({
                "pages": pages,
                "pasids": rows.iter().map(|row| row.pasid).collect::<Vec<_>>(),
                "same_generation": held.generation == grants.generation,
                "state": AllocationState::try_from(held.state)?.as_str_name(),
                "binding_state": BindingState::try_from(binding.state)?.as_str_name(),
                "guest_pasid": binding.guest_pasid,
                "address": address_of(binding).to_string(),
                "rid_devices": last.rid_bindings.iter().map(|one| &one.device).collect::<Vec<_>>(),
                "revision": last.revision.to_string(),
            }),
        );
        Ok(())
    }

    pub async fn refusals(&mut self) -> Result<(), Failure> {
        let tell = |of: &str, mut refusal: Value| {
            refusal["of"] = json!(of);
            say("refusal", refusal);
        };
        let session = self.name.clone();
        let late = self.with_token(self.free_request(FreeWhat::Pasids(numbers(&[999_999]))));
        tell("not_found", refusal_of(self.broker.free_pasids(late).await)?);

        let much = self.with_token(pasid::AllocatePasidsRequest {
            session: session.clone(),
            ask: Some(Ask::Block(pasid::NumberBlock { size: 1024 })),
            ..Default::default()
        });
        tell("quota", refusal_of(self.broker.allocate_pasids(much).await)?);

        let beyond = self.with_token(pasid::BindPasidRequest {
            session: session.clone(),
            target: Some(Target::Pasid(1)),
            devices: vec!["devices/emu0".into()],
            table: table(u64::MAX, 48),
            domain: 1,
            ..Default::default()
        });
        tell("address", refusal_of(self.broker.bind_pasid(beyond).await)?);

        let no_token = pasid::GetSessionRequest { name: session };
        tell("token", refusal_of(self.broker.get_session(no_token).await)?);
        Ok(())
    }

    pub async fn get_session(&mut self) -> Result<(), Failure> {
        let request = self.with_token(pasid::GetSessionRequest { name: self.name.clone() });
        let seen = self.broker.get_session(request).await?.into_inner();
        say(
            "get_session",
            json!({
                "state": SessionState::try_from(seen.state)?.as_str_name(),
                "held_pasids": seen.held_pasids,
                "bindings": seen.bindings,
                "lost_bindings": seen.lost_bindings,
                "devices": seen.devices,
            }),
        );
        Ok(())
    }

    fn free_request(&self, what: FreeWhat) -> pasid::FreePasidsRequest {
        pasid::FreePasidsRequest {
            session: self.name.clone(),
            what: Some(what),
            ..Default::default()
        }
    }

    pub async fn free_and_close(&mut self) -> Result<(), Failure> {
        let range = pasid::PasidRange { first: 400_000, last: 499_999 };
        let ways = [
            ("pasids", FreeWhat::Pasids(numbers(&[700_001, 700_003, 700_005]))),
            ("range", FreeWhat::Range(range)),
            ("range_again", FreeWhat::Range(range)),
        ];
        for (by, what) in ways {
            let request = self.with_token(self.free_request(what));
            let answer = self.broker.free_pasids(request).await?.into_inner();
            say(
                "free_pasids",
                json!({
                    "by": by, "freed": answer.freed, "durable": answer.durable,
                }),
            );
        }
        let name = self.name.clone();
        let request = pasid::CloseSessionRequest { name: name.clone(), ..Default::default() };
        let answer = self.broker.close_session(self.with_token(request)).await?.into_inner();
        let request = self.with_token(pasid::GetSessionRequest { name });
        let gone = refusal_of(self.broker.get_session(request).await)?;
        say(
            "close_session",
            json!({
                "freed": answer.freed, "durable": answer.durable, "then": gone["reason"],
            }),
        );
        Ok(())
    }
}
