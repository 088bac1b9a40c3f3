/** Memory in a file of the kernel's own (tmpfs), as IOMMU_IOAS_MAP_FILE takes it. */
import fs from 'node:fs'

let made = 0

export class SharedMemory {
  readonly fd: number
  readonly bytes: number

  /** Full of zeros. `bytes`: a multiple of 4096. */
  constructor(bytes: number) {
    const path = `/dev/shm/memory-${process.pid}-${(made += 1)}`
    this.fd = fs.openSync(path, 'wx+')
    fs.unlinkSync(path)
    fs.ftruncateSync(this.fd, bytes)
    this.bytes = bytes
  }

  read(offset: number, bytes: number): Buffer {
    const found = Buffer.alloc(bytes)
    fs.readSync(this.fd, found, 0, bytes, offset)
    return found
  }

  write(offset: number, bytes: Uint8Array): void {
    fs.writeSync(this.fd, bytes, 0, bytes.length, offset)
  }

  close(): void {
    fs.closeSync(this.fd)
  }
}
