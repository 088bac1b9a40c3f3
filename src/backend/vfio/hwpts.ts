/**
 * The nested HWPTs of one IOMMU group: one for each distinct guest table, whatever stands on it,
 * the RID included, always made for PASIDs. Holds: one that nothing of ours is attached to is
 * destroyed; its id is forgotten before, so that no id is ever destroyed twice, when it may be
 * another's.
 */

import type { FirstStageTable, Table } from '../../core/binding.js'
import { BackendFault } from '../backend.js'
import type { HeldDevice } from './held-device.js'
import { KernelRefusal } from './ports.js'
import type { Job } from './work.js'

export interface Hwpt {
  /** Of the VMM's iommufd. */
  readonly id: number
  readonly table: Table
  /** Places that stand on it. */
  users: number
}

export interface HwptParts {
  readonly parent: number
  /** The device through which calls on the group's objects are made. */
  readonly lead: () => HeldDevice
  /** Whose page requests the tables bring; undefined: nobody's. */
  readonly faultId: () => number | undefined
  /** What outlives the daemon: told when there is one more, and before there is one less. */
  readonly memory: { madeHwpt(hwpt: Hwpt): void; forgetHwpt(hwpt: Hwpt): void }
}

export class Hwpts {
  readonly #parts: HwptParts
  readonly #byTable = new Map<string, Hwpt>()
  readonly #parent: Hwpt

  constructor(parts: HwptParts) {
    this.#parts = parts
    this.#parent = { id: parts.parent, table: { kind: 'PASS_THROUGH' }, users: 0 }
  }

  /** Pass-through. */
  get parent(): Hwpt {
    return this.#parent
  }

  /** How many there are. */
  get size(): number {
    return this.#byTable.size
  }

  /** For one more place. Pairs with release() or forget(). @throws KernelRefusal; BackendFault */
  async acquire(job: Job, table: Table): Promise<Hwpt> {
    const hwpt = table.kind === 'PASS_THROUGH' ? this.#parent : await this.#nested(job, table)
    hwpt.users += 1
    return hwpt
  }

  /** One place less. */
  async release(hwpt: Hwpt): Promise<void> {
    hwpt.users -= 1
    if (hwpt.users === 0) await this.#destroy(hwpt)
  }

  /** As release() of one that the kernel does not know: the VMM has destroyed it. */
  forget(hwpt: Hwpt): void {
    hwpt.users -= 1
    if (hwpt !== this.#parent) this.#forgetId(hwpt)
  }

  /** One that is known from an earlier life. */
  adopt(id: number, table: FirstStageTable): Hwpt {
    const hwpt = { id, table, users: 0 }
    this.#byTable.set(keyOf(table), hwpt)
    return hwpt
  }

  /** Those that nothing stands on: what an earlier life left in the middle of something. */
  async destroyUnused(): Promise<void> {
    for (const hwpt of [...this.#byTable.values()]) if (hwpt.users === 0) await this.#destroy(hwpt)
  }

  async #nested(job: Job, table: FirstStageTable): Promise<Hwpt> {
    const known = this.#byTable.get(keyOf(table))
    if (known !== undefined) return known
    job.check()
    const { parent, lead, faultId, memory } = this.#parts
    const { ioctls, devId, codec, name } = lead()
    if (codec === undefined) {
      throw new BackendFault(`${name}: its IOMMU nests no tables that are known here`, 'REFUSE')
    }
    const data = codec.table(table)
    const { hwptDataType: dataType } = codec
    const id = await ioctls.allocNested({ devId, parent, dataType, data, faultId: faultId() })
    const hwpt = { id, table, users: 0 }
    this.#byTable.set(keyOf(table), hwpt)
    memory.madeHwpt(hwpt)
    return hwpt
  }

  /** EBUSY: the VMM has it attached by itself; then it is the VMM's, and goes with its iommufd. */
  async #destroy(hwpt: Hwpt): Promise<void> {
    if (hwpt === this.#parent || !this.#forgetId(hwpt)) return
    await quietly(() => this.#parts.lead().ioctls.destroy(hwpt.id))
  }

  #forgetId(hwpt: Hwpt): boolean {
    const key = hwpt.table.kind === 'FIRST_STAGE' ? keyOf(hwpt.table) : ''
    if (this.#byTable.get(key) !== hwpt) return false
    this.#byTable.delete(key)
    this.#parts.memory.forgetHwpt(hwpt)
    return true
  }
}

/** A step that takes something away, after which nothing depends on it: whether it succeeded. */
export async function quietly(step: () => Promise<unknown>): Promise<boolean> {
  try {
    await step()
    return true
  } catch (error) {
    if (error instanceof KernelRefusal || error instanceof BackendFault) return false
    throw error
  }
}

export function keyOf(table: FirstStageTable): string {
  const { address, width, supervisor, writeProtect, extendedAccessed } = table
  return [address, width, supervisor, writeProtect, extendedAccessed].join()
}
