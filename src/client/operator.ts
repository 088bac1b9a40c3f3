/** The operator's client: reads what the broker knows, over the admin socket. */

import type { Allocation__Output as Allocation } from '../wire/generated/pasid/v1/Allocation.js'
import type { CheckResponse__Output } from '../wire/generated/pasid/v1/CheckResponse.js'
import type { Device__Output as Device } from '../wire/generated/pasid/v1/Device.js'
import type { Namespace__Output as Namespace } from '../wire/generated/pasid/v1/Namespace.js'
import type { Reservation__Output as Reservation } from '../wire/generated/pasid/v1/Reservation.js'
import type { Session__Output as Session } from '../wire/generated/pasid/v1/Session.js'
import type { Tenant__Output as Tenant } from '../wire/generated/pasid/v1/Tenant.js'
import { operatorDefinition } from '../wire/load.js'
import { Channel, type ChannelSettings } from './channel.js'
import { checkHealth, type ServingStatus } from './health.js'
import { pagesOf, type PageOptions } from './pages.js'

const METHODS = operatorDefinition
/** All that an operator asks for today only reads. */
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

type Pages<Row> = AsyncGenerator<readonly Row[], void, undefined>

function scopeOf({ device }: ScopeChoice) {
  if (device === undefined) return { scope: 'SCOPE_HOST', device: '' } as const
  const name = device.startsWith('devices/') ? device : `devices/${device}`
  return { scope: 'SCOPE_DEVICE', device: name } as const
}

export class OperatorClient {
  readonly #channel: Channel

  constructor(settings: ChannelSettings) {
    this.#channel = new Channel(settings)
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
    const full = name.startsWith('sessions/') ? name : `sessions/${name}`
    return this.#channel.call(METHODS.GetSession, { name: full }, READ)
  }

  getNamespace(scope: ScopeChoice = {}): Promise<Namespace> {
    return this.#channel.call(METHODS.GetNamespace, scopeOf(scope), READ)
  }

  check(timeoutMs?: number): Promise<CheckResponse> {
    return this.#channel.call(METHODS.Check, {}, { ...READ, timeoutMs })
  }

  close(): void {
    this.#channel.close()
  }
}
