// Original file: proto/pasid/v1/pasid_broker.proto

import type { DeviceFault as _pasid_v1_DeviceFault, DeviceFault__Output as _pasid_v1_DeviceFault__Output } from '../../pasid/v1/DeviceFault.js';

export interface DeviceFaults {
  'faults'?: (_pasid_v1_DeviceFault)[];
  'lost'?: (number);
}

export interface DeviceFaults__Output {
  'faults': (_pasid_v1_DeviceFault__Output)[];
  'lost': (number);
}
