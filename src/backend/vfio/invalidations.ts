/**
 * Invalidations of one holding. Those that wait together go in one call for each HWPT, as the
 * kernel takes them in a row and says how many were done; from the first that failed on, each goes
 * by itself, so that every request has its own answer. The caches cannot be chosen: IOTLB and
 * device-TLB go together, and the PASID cache is cleared by bind and unbind alone
 * (drivers/iommu/intel/nested.c).
 */

import { BackendFault, type InvalidateRequest } from '../backend.js'
import { faultOf } from './errors.js'
import { checkRange } from './guards.js'
import type { Holding } from './holding.js'
import type { Hwpt } from './hwpts.js'
import type { NestedCodec } from './ports.js'

/** In one call: 64 KiB hold 2730 entries of VT-d. */
export const ENTRIES_PER_CALL_MAX = 512

interface Waiting {
  readonly request: InvalidateRequest
  readonly resolve: () => void
  readonly reject: (fault: unknown) => void
}

export class Invalidations {
  readonly #holding: Holding
  /** Does the work in its turn. */
  readonly #inTurn: (work: () => Promise<void>) => Promise<void>
  readonly #waiting: Waiting[] = []

  constructor(holding: Holding, inTurn: (work: () => Promise<void>) => Promise<void>) {
    this.#holding = holding
    this.#inTurn = inTurn
  }

  /** @throws BackendFault */
  async invalidate(request: InvalidateRequest): Promise<void> {
    const { caches, range, device } = request
    if (!caches.includes('IOTLB') && !caches.includes('DEVICE_TLB')) return
    checkRange(device, range)
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject })
      // Whoever comes before its turn goes with it.
      if (this.#waiting.length > 1) return
      this.#inTurn(() => this.#all()).catch((fault: unknown) => {
        for (const each of this.#waiting.splice(0)) each.reject(fault)
      })
    })
  }

  async #all(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, ENTRIES_PER_CALL_MAX)
      const byHwpt = new Map<Hwpt, Waiting[]>()
      for (const each of batch) {
        const { device, target } = each.request
        const place = this.#holding.places.get(target)
        const held = this.#holding.devices.get(device)
        const isThere = held !== undefined && place?.through.has(held) === true
        // Nothing of the guest's is cached where nothing is bound, or no table of its own.
        if (!isThere || place.table.kind === 'PASS_THROUGH') each.resolve()
        else {
          const together = byHwpt.get(place.hwpt)
          if (together === undefined) byHwpt.set(place.hwpt, [each])
          else together.push(each)
        }
      }
      for (const [hwpt, requests] of byHwpt) await this.#carryOut(hwpt, requests)
    }
  }

  /** Every request is answered. */
  async #carryOut(hwpt: Hwpt, requests: readonly Waiting[]): Promise<void> {
    let done = 0
    try {
      done = await this.#call(hwpt, requests)
      for (const each of requests.slice(0, done)) each.resolve()
      const [first, ...others] = requests.slice(done)
      if (first === undefined) return
      for (const each of [first, ...others]) {
        await this.#call(hwpt, [each])
          .then((one) => (one === 1 ? each.resolve() : each.reject(notDone(each.request))))
          .catch((fault: unknown) => each.reject(fault))
      }
    } catch (fault) {
      for (const each of requests.slice(done)) each.reject(fault)
    }
  }

  /** How many were done. @throws BackendFault: none was */
  async #call(hwpt: Hwpt, requests: readonly Waiting[]): Promise<number> {
    const { lead } = this.#holding
    const { codec } = lead
    if (codec === undefined) throw new BackendFault(`${lead.name}: no nested tables`, 'REFUSE')
    const entries = entriesOf(codec, requests)
    const { invalidateDataType: dataType, entryBytes } = codec
    const count = requests.length
    const call = { hwpt: hwpt.id, dataType, entryBytes, count, entries }
    const { done, refusal } = await lead.ioctls.invalidate(call)
    if (refusal !== undefined && count === 1) throw faultOf(lead.name, refusal)
    return done
  }
}

function entriesOf(codec: NestedCodec, requests: readonly Waiting[]): Uint8Array {
  const bytes = new Uint8Array(codec.entryBytes * requests.length)
  for (const [i, { request }] of requests.entries()) {
    bytes.set(codec.entry(request.range), i * codec.entryBytes)
  }
  return bytes
}

function notDone({ device }: InvalidateRequest): BackendFault {
  return new BackendFault(`${device}: the kernel did not carry out the invalidation`, 'RETRY')
}
