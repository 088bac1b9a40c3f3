/**
 * A VMM in this process, for tests of the backend without a daemon: an iommufd with an IOAS, and
 * hand-overs of devices.
 */
import type { HandOver } from '../../../src/backend/backend.js'
import type { OwnedFd } from '../../../src/linux/owned-fd.js'
import { duplicate, IommufdUser, openDevice } from './iommufd-user.js'
import type { MockDevice } from './mock.js'

export class TestVm {
  readonly user: IommufdUser
  readonly ioas: number

  private constructor(user: IommufdUser, ioas: number) {
    this.user = user
    this.ioas = ioas
  }

  static async start(): Promise<TestVm> {
    const user = new IommufdUser()
    return new TestVm(user, await user.allocIoas())
  }

  /** Of a VFIO device. `more`: what is different from a parent on the IOAS, and the RID left. */
  handOver(cdev: string, more: Partial<HandOver> = {}): HandOver {
    return this.#handOver(() => openDevice(cdev), more)
  }

  /** Of a mock device, which is made by it. */
  handOverMock(device: MockDevice, more: Partial<HandOver> = {}): HandOver {
    device.handedOverBy(this)
    return this.#handOver(() => duplicate(this.user.fd), more)
  }

  /** What is not asked for is not opened. */
  #handOver(open: () => OwnedFd, more: Partial<HandOver>): HandOver {
    return {
      parent: { kind: 'IOAS', id: this.ioas, dirtyTracking: false },
      moveRid: false,
      faultId: undefined,
      ...more,
      iommufd: more.iommufd ?? duplicate(this.user.fd),
      cdev: more.cdev ?? open(),
    }
  }

  close(): void {
    this.user.close()
  }
}
