/**
 * The VMM's side of the demo: a session for one guest with a PASID for each of its domains, and the
 * Control stream that carries what the replay makes of its queue.
 */

import { PasidError, type ControlSession, type PasidClient } from '../src/client/index.js'
import type { InvalidationEntry } from '../src/wire/generated/pasid/v1/InvalidationEntry.js'
import type { BindCommand, Command, InvalidateCommand } from './plan.js'
import type { Link } from './replay.js'

export interface GuestOptions {
  readonly client: PasidClient
  /** Shown to operators as the session's label. */
  readonly name: string
  /** `devices/{name}`. */
  readonly device: string
  readonly domains: readonly number[]
  /** Calls under way at once. */
  readonly inFlight: number
}

export class Guest implements Link {
  /** PASID -> address of the table that was acknowledged last. */
  readonly tables = new Map<number, number>()

  private constructor(
    readonly session: string,
    /** Domain -> PASID. */
    readonly pasids: ReadonlyMap<number, number>,
    private readonly device: string,
    private readonly control: ControlSession,
  ) {}

  /** @throws PasidError */
  static async open(options: GuestOptions): Promise<Guest> {
    const { client, name, device, domains, inFlight } = options
    const session = await client.openSession({ labels: { guest: name } })
    await session.attachDevice({ device })
    const pasids = new Map<number, number>()
    for (const domain of domains) {
      const labels = { domain: String(domain) }
      const { ranges } = await session.allocatePasids({ one: {}, ask: 'one', labels })
      const [range] = ranges
      if (range === undefined) throw new Error('a grant without a number')
      pasids.set(domain, range.first)
    }
    const control = await session.control({ inFlight })
    return new Guest(session.name, pasids, device, control)
  }

  async send(command: Command): Promise<string | undefined> {
    try {
      if (command.verb === 'bind') await this.#bind(command)
      else await this.#invalidate(command)
      return undefined
    } catch (error) {
      if (error instanceof PasidError) return error.message
      throw error
    }
  }

  /** The session stays: its bindings are the demo's result. */
  close(): Promise<void> {
    return this.control.close()
  }

  async #bind({ domain, table, replace }: BindCommand): Promise<void> {
    const pasid = this.#pasid(domain)
    await this.control.send('bindPasid', {
      target: 'pasid',
      pasid,
      devices: [this.device],
      table: 'firstStage',
      firstStage: { address: table, addressWidth: 48 },
      domain,
      replace,
    })
    this.tables.set(pasid, table)
  }

  async #invalidate(command: InvalidateCommand): Promise<void> {
    const entries = this.#entriesOf(command)
    const { done, lost } = await this.control.send('invalidate', { entries })
    if (done !== entries.length || lost.length > 0) {
      throw new Error(`${done} of ${entries.length} entries done, ${lost.length} bindings lost`)
    }
  }

  #entriesOf(command: InvalidateCommand): InvalidationEntry[] {
    switch (command.reach) {
      case 'domain':
        return command.domains.map((domain) => ({
          granularity: 'domain',
          domain: { domain },
          caches: ['INVALIDATION_CACHE_IOTLB', 'INVALIDATION_CACHE_PASID'],
        }))
      case 'pasid': {
        const pasid = { target: 'pasid', pasid: this.#pasid(command.domain) } as const
        return [{ granularity: 'pasid', pasid, caches: ['INVALIDATION_CACHE_IOTLB'] }]
      }
      case 'addresses': {
        const { address, order, leaf } = command.range
        const addresses = {
          target: 'pasid',
          pasid: this.#pasid(command.domain),
          address: address.toString(),
          pages: (1n << BigInt(order)).toString(),
          leaf,
        } as const
        return [{ granularity: 'addresses', addresses, caches: ['INVALIDATION_CACHE_IOTLB'] }]
      }
    }
  }

  #pasid(domain: number): number {
    const pasid = this.pasids.get(domain)
    if (pasid === undefined) throw new Error(`domain ${domain} was given no PASID`)
    return pasid
  }
}
