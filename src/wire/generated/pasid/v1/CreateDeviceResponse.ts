// Original file: proto/pasid/v1/emulator_lab.proto

import type { Device as _pasid_v1_Device, Device__Output as _pasid_v1_Device__Output } from '../../pasid/v1/Device.js';

export interface CreateDeviceResponse {
  'device'?: (_pasid_v1_Device | null);
}

export interface CreateDeviceResponse__Output {
  'device': (_pasid_v1_Device__Output | null);
}
