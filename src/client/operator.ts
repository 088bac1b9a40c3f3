/**
 * The operator's client, over the admin socket: reads what the broker knows, and steers it. What
 * changes something is not made again after a lost connection: the second would find it done, and
 * answer with a refusal.
 */

import type { Allocation__Output as Allocation } from '../wire/generated/pasid/v1/Allocation.js'
import type { AuditEvent__Output as AuditEvent } from '../wire/generated/pasid/v1/AuditEvent.js'
import type { CheckResponse__Output } from '../wire/generated/pasid/v1/CheckResponse.js'
import type { Device__Output as Device } from '../wire/generated/pasid/v1/Device.js'
import type { Namespace__Output as Namespace } from '../wire/generated/pasid/v1/Namespace.js'
import type { Reclaim__Output as Reclaim } from '../wire/generated/pasid/v1/Reclaim.js'
import type { Reservation__Output as Reservation } from '../wire/generated/pasid/v1/Reservation.js'
import type { Session__Output as Session } from '../wire/generated/pasid/v1/Session.js'
import type { Tenant__Output as Tenant } from '../wire/generated/pasid/v1/Tenant.js'
import { operatorDefinition } from '../wire/load.js'
import { Channel, type CallSettings, type ChannelSettings } from './channel.js'
import { EmulatorLab } from './emulator.js'
import { checkHealth, type ServingStatus } from './health.js'
import { pagesOf, type PageOptions } from './pages.js'
import { tenantRequest, type TenantChange, type TenantLimits } from './tenant.js'
import { Watch, type WatchOptions } from './watch.js'

const METHODS = operatorDefinition
const READ = { repeatable: true } as const

export interface FilterOptions extends PageOptions {
  /** AIP-160 subset; operator.proto says which fields each list knows. */
  readonly filter?: string | undefined
}

/** Undefined device = HOST scope. */
export interface ScopeChoice {
  readonly device?: string | undefined
}

export type CheckResponse = CheckResponse__Output

/** Of what an operator does to others' things. */
export interface ActOptions {
  /** For the audit. */
  readonly reason?: string | undefined
  /** Only say what it would break. */
  readonly validateOnly?: boolean | undefined
}

type Pages<Row> = AsyncGenerator<readonly Row[], void, undefined>

function sessionName(name: string): string {
  return name.startsWith('sessions/') ? name : `sessions/${name}`
}

function scopeOf({ device }: ScopeChoice) {
  if (device === undefined) return { scope: 'SCOPE_HOST', device: '' } as const
  const name = device.startsWith('devices/') ? device : `devices/${device}`
  return { scope: 'SCOPE_DEVICE', device: name } as const
}

function acting({ validateOnly = false }: ActOptions): CallSettings {
  return { repeatable: validateOnly }
}

export class OperatorClient {
  readonly #channel: Channel
  /** Of a daemon with the emulator. */
  readonly emulator: EmulatorLab

  constructor(settings: ChannelSettings) {
    this.#channel = new Channel(settings)
    this.emulator = new EmulatorLab(this.#channel)
  }

  health(): Promise<ServingStatus> {
    return checkHealth(this.#channel)
  }

  allocations({ pageSize = 0, filter = '' }: FilterOptions = {}): Pages<Allocation> {
    return pagesOf(async (pageToken) => {
      const request = { pageSize, filter, pageToken }
      const response = await this.#channel.call(METHODS.ListAllocations, request, READ)
      return { ...response, rows: response.allocations }
    })
  }

  sessions({ pageSize = 0, filter = '' }: FilterOptions = {}): Pages<Session> {
    return pagesOf(async (pageToken) => {
      const request = { pageSize, filter, pageToken }
      const response = await this.#channel.call(METHODS.ListSessions, request, READ)
      return { ...response, rows: response.sessions }
    })
  }

  tenants({ pageSize = 0 }: PageOptions = {}): Pages<Tenant> {
    return pagesOf(async (pageToken) => {
      const response = await this.#channel.call(METHODS.ListTenants, { pageSize, pageToken }, READ)
      return { ...response, rows: response.tenants }
    })
  }

  reservations({ pageSize = 0 }: PageOptions = {}): Pages<Reservation> {
    return pagesOf(async (pageToken) => {
      const request = { pageSize, pageToken }
      const response = await this.#channel.call(METHODS.ListReservations, request, READ)
      return { ...response, rows: response.reservations }
    })
  }

  devices({ pageSize = 0 }: PageOptions = {}): Pages<Device> {
    return pagesOf(async (pageToken) => {
      const response = await this.#channel.call(METHODS.ListDevices, { pageSize, pageToken }, READ)
      return { ...response, rows: response.devices }
    })
  }

  getAllocation(pasid: number, scope: ScopeChoice = {}): Promise<Allocation> {
    return this.#channel.call(METHODS.GetAllocation, { pasid, ...scopeOf(scope) }, READ)
  }

  /** `sessions/{id}`, or the id alone. */
  getSession(name: string): Promise<Session> {
    return this.#channel.call(METHODS.GetSession, { name: sessionName(name) }, READ)
  }

  getNamespace(scope: ScopeChoice = {}): Promise<Namespace> {
    return this.#channel.call(METHODS.GetNamespace, scopeOf(scope), READ)
  }

  check(timeoutMs?: number): Promise<CheckResponse> {
    return this.#channel.call(METHODS.Check, {}, { ...READ, timeoutMs })
  }

  /** Newest first. */
  auditEvents({ pageSize = 0, filter = '' }: FilterOptions = {}): Pages<AuditEvent> {
    return pagesOf(async (pageToken) => {
      const request = { pageSize, filter, pageToken }
      const response = await this.#channel.call(METHODS.ListAuditEvents, request, READ)
      return { ...response, rows: response.auditEvents }
    })
  }

  /** `name`: `tenants/{name}`, or the name alone. */
  updateTenant(name: string, limits: TenantLimits, change: TenantChange = {}): Promise<Tenant> {
    const request = tenantRequest(name, limits, change)
    return this.#channel.call(METHODS.UpdateTenant, request, acting(change))
  }

  /** Puts the configuration's limits in force again. */
  revertTenant(name: string, change: TenantChange = {}): Promise<Tenant> {
    const request = tenantRequest(name, undefined, change)
    return this.#channel.call(METHODS.UpdateTenant, request, acting(change))
  }

  /** Answers with the session as it was before. `name` as in getSession. */
  endSession(name: string, options: ActOptions = {}) {
    const { reason = '', validateOnly = false } = options
    const request = { name: sessionName(name), reason, validateOnly }
    return this.#channel.call(METHODS.EndSession, request, acting(options))
  }

  /** Of the grant with this generation only. Answers with the allocation as it was before. */
  releaseAllocation(
    { pasid, generation }: Pick<Allocation, 'pasid' | 'generation'>,
    options: ActOptions & ScopeChoice = {},
  ) {
    const { reason = '', validateOnly = false } = options
    const request = { pasid, generation, ...scopeOf(options), reason, validateOnly }
    return this.#channel.call(METHODS.ReleaseAllocation, request, acting(options))
  }

  getReclaim(): Promise<Reclaim> {
    return this.#channel.call(METHODS.GetReclaim, {}, READ)
  }

  /** Lets the numbers that the circuit breaker held back go to rest. */
  resumeReclaim({ reason = '' }: Pick<ActOptions, 'reason'> = {}) {
    return this.#channel.call(METHODS.ResumeReclaim, { reason })
  }

  watch(options: WatchOptions = {}): Watch {
    return Watch.open(this.#channel, options)
  }

  close(): void {
    this.#channel.close()
  }
}
