/**
 * The one working state: everything the broker decides on, in memory. Only `apply`, `revert` and
 * `advance` change it. It runs ahead of the disk by the batches in flight.
 */

import { assert, broken } from './assert.js'
import { bindingKey, type Binding } from './binding.js'
import type { Device, DeviceFacts, Scope } from './device.js'
import {
  type DeviceId,
  type Generation,
  HOST_NAMESPACE,
  type NamespaceId,
  PASID_BITS_MAX,
  type Pasid,
  type SessionId,
  type Target,
  type TenantId,
  namespaceOfDevice,
} from './ids.js'
import { Namespace } from './namespace.js'
import { Quarantine } from './quarantine.js'
import {
  charge,
  inherited,
  policyInForce,
  setAside,
  type HostAside,
  type Tenant,
  type TenantOverride,
  type TenantPolicy,
} from './quota.js'
import type { PasidRange } from './range.js'
import { RequestLog } from './requests.js'
import type { Labels, Session } from './session.js'

export interface Reservation extends PasidRange {
  readonly reason: string
}

/** What the configuration decides; fixed while the daemon runs. */
export interface Policy {
  /** PASIDs charged on the whole host, over all scopes; undefined = as many as there are. */
  readonly hostMaxPasids: number | undefined
  readonly sessionMaxPasids: number
  readonly maxSessions: number
  readonly maxRequestIds: number
  readonly holdMs: number
  /** The longest that a session may outlive its owner. */
  readonly lingerMsMax: number
  /** HOST scope only. */
  readonly reservations: readonly Reservation[]
  readonly tenants: readonly TenantPolicy[]
}

interface GrantLabels {
  readonly labels: Labels
  /** Numbers of the grant that are not free again. */
  numbers: number
}

export class State {
  /** Of the newest change applied. */
  revision = 0
  /** Of the newest change known to be on disk. */
  durable = 0
  requestIds = 0
  /** When a full log was last gone through for ids that may be forgotten. */
  requestsForgottenAt = 0
  hostUsed = 0
  /** HOST-scope numbers that are kept for whoever has a guarantee. */
  readonly hostAside: HostAside = { aside: 0 }
  nextSession = 1
  readonly tenants = new Map<TenantId, Tenant>()
  readonly tenantByName = new Map<string, Tenant>()
  readonly devices = new Map<DeviceId, Device>()
  readonly deviceByName = new Map<string, Device>()
  /** IOMMU groups that have a name, by it; in the order in which their devices were described. */
  readonly groups = new Map<string, Set<Device>>()
  readonly namespaces = new Map<NamespaceId, Namespace>()
  readonly sessions = new Map<SessionId, Session>()
  readonly sessionByName = new Map<string, Session>()
  readonly bindings = new Map<number, Binding>()
  readonly labels = new Map<Generation, GrantLabels>()
  readonly quarantine = new Quarantine()
  /** Sessions closed but not yet durably so: a failed commit brings them back. */
  readonly closed: { readonly session: Session; readonly revision: number }[] = []
  readonly host: Namespace

  constructor(readonly policy: Policy) {
    this.host = new Namespace(HOST_NAMESPACE, PASID_BITS_MAX)
    this.namespaces.set(HOST_NAMESPACE, this.host)
    for (const reservation of policy.reservations) this.host.reserve(reservation)
  }

  session(id: SessionId): Session {
    return this.sessions.get(id) ?? broken(`session ${id} must be present`)
  }

  tenant(id: TenantId): Tenant {
    return this.tenants.get(id) ?? broken(`tenant ${id} must be present`)
  }

  device(id: DeviceId): Device {
    return this.devices.get(id) ?? broken(`device ${id} must be present`)
  }

  namespace(id: NamespaceId): Namespace {
    return this.namespaces.get(id) ?? broken(`namespace ${id} must be present`)
  }

  /** PASIDs that the session may hold at once: its own limit and its tenant's. */
  sessionLimit({ record }: Session): number {
    const most = inherited(this.tenant(record.tenant), (policy) => policy.sessionMaxPasids)
    return Math.min(record.maxPasids, most ?? this.policy.sessionMaxPasids)
  }

  tenantOf(session: Session): Tenant {
    return this.tenant(session.record.tenant)
  }

  bindingAt(device: DeviceId, target: Target | Pasid): Binding | undefined {
    return this.bindings.get(bindingKey(device, target))
  }

  /** Every device of the device's IOMMU group, itself included. */
  groupOf(device: Device): Iterable<Device> {
    const name = device.facts?.group
    return (name === undefined ? undefined : this.groups.get(name)) ?? [device]
  }

  /** Request ids that one tenant may have remembered: an equal share, so none takes another's. */
  requestIdShare(): number {
    return Math.max(1, Math.floor(this.policy.maxRequestIds / Math.max(1, this.tenants.size)))
  }

  /** The scope's name as people read it: `HOST`, or `DEVICE/name`. */
  scopeName(id: NamespaceId): string {
    if (id === HOST_NAMESPACE) return 'HOST'
    return `DEVICE/${this.device((id - 1) as DeviceId).name}`
  }

  /** Hangs the configured tree onto the tenants that the ledger knows. */
  configureTenants(): void {
    const policies = new Map(this.policy.tenants.map((policy) => [policy.name, policy]))
    for (const tenant of this.tenants.values()) {
      tenant.configured = policies.get(tenant.name)
      tenant.policy = policyInForce(tenant.configured, tenant.override)
    }
    for (const tenant of this.tenants.values()) {
      const above = tenant.policy?.parent
      tenant.parent = above === undefined ? undefined : this.tenantByName.get(above)
      assert(above === undefined || tenant.parent !== undefined, `tenant ${above} is registered`)
    }
    this.hostAside.aside = 0
    for (const tenant of this.tenants.values()) {
      tenant.aside = 0
      tenant.asideBelow = 0
    }
    for (const tenant of this.tenants.values()) setAside(tenant, this.hostAside)
  }

  /** More or fewer numbers of a numbering, for the tenant and all above it. */
  charge(id: TenantId, count: number, namespace: NamespaceId): void {
    charge(this.tenant(id), count, namespace === HOST_NAMESPACE ? this.hostAside : undefined)
    this.hostUsed += count
  }

  /** Limits changed at run time, or again those of the configuration. */
  limitTenant(id: TenantId, override: TenantOverride | undefined): void {
    const tenant = this.tenant(id)
    tenant.override = override
    tenant.policy = policyInForce(tenant.configured, override)
    setAside(tenant, this.hostAside)
  }

  /**
   * What the backend says of a registered device, and the scope it is in. Pairs with
   * `device-registered`; repeated at each start and when the backend comes back.
   */
  describeDevice(id: DeviceId, facts: DeviceFacts | undefined, scope: Scope): void {
    const device = this.device(id)
    this.#regroup(device, facts?.group)
    device.facts = facts
    device.scope = scope
    device.namespace = scope === 'HOST' ? HOST_NAMESPACE : namespaceOfDevice(id)
    if (scope === 'DEVICE' && !this.namespaces.has(device.namespace)) {
      this.namespaces.set(device.namespace, new Namespace(device.namespace, PASID_BITS_MAX))
    }
  }

  #regroup(device: Device, joined: string | undefined): void {
    const left = device.facts?.group
    if (left === joined) return
    if (left !== undefined) this.groups.get(left)?.delete(device)
    if (joined === undefined) return
    const group = this.groups.get(joined)
    if (group === undefined) this.groups.set(joined, new Set([device]))
    else group.add(device)
  }

  newTenant(id: TenantId, name: string): Tenant {
    const configured = this.policy.tenants.find((policy) => policy.name === name)
    const tenant: Tenant = {
      id,
      name,
      configured,
      override: undefined,
      policy: configured,
      parent: undefined,
      used: 0,
      usedInHost: 0,
      asideBelow: 0,
      aside: 0,
      sessions: 0,
      requestIds: 0,
      requests: new RequestLog(),
    }
    this.tenants.set(id, tenant)
    this.tenantByName.set(name, tenant)
    return tenant
  }
}
