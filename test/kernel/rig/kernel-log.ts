/**
 * The kernel's log from a moment on (/dev/kmsg, Documentation/ABI/testing/dev-kmsg), for what it
 * says there and nowhere else: that the IOMMU has stopped a DMA.
 */
import fs from 'node:fs'

/** One read brings one record; a longer one is EINVAL. */
const RECORD_BYTES = 8192

/** drivers/iommu/intel/dmar.c dmar_fault_do_one(). */
const DMA_FAULT = /DMAR: \[DMA (Read|Write)[^\]]*\] Request device \[([^\]]+)\] fault addr 0x(\w+)/

export class KernelLog {
  readonly #fd = fs.openSync('/dev/kmsg', fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  readonly #lines: string[] = []

  /** From now on. Pairs with close(). */
  constructor() {
    this.#read()
    this.#lines.length = 0
  }

  /**
   * DMA of the device that the IOMMU has stopped, as `Read 0x1001000`, each once, in order. The
   * kernel tells of ten faults in five seconds at most: of others nothing is ever said.
   */
  dmaFaults(pciAddress: string): readonly string[] {
    this.#read()
    const found = new Set<string>()
    for (const line of this.#lines) {
      const [, kind, device, at] = DMA_FAULT.exec(line) ?? []
      // With the domain or without, as the kernel's version has it.
      if (device !== undefined && pciAddress.endsWith(device)) found.add(`${kind} 0x${at}`)
    }
    return [...found].sort()
  }

  close(): void {
    fs.closeSync(this.#fd)
  }

  #read(): void {
    const record = Buffer.alloc(RECORD_BYTES)
    for (;;) {
      try {
        const length = fs.readSync(this.#fd, record, 0, RECORD_BYTES, null)
        this.#lines.push(record.toString('utf8', 0, length))
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'EAGAIN') return
        // The next was overwritten before it was read; those after it are there.
        if (code !== 'EPIPE') throw error
      }
    }
  }
}
