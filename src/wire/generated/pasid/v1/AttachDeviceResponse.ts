// Original file: proto/pasid/v1/pasid_broker.proto

import type { Device as _pasid_v1_Device, Device__Output as _pasid_v1_Device__Output } from '../../pasid/v1/Device.js';
import type { NativeAttachment as _pasid_v1_NativeAttachment, NativeAttachment__Output as _pasid_v1_NativeAttachment__Output } from '../../pasid/v1/NativeAttachment.js';

export interface AttachDeviceResponse {
  'device'?: (_pasid_v1_Device | null);
  'native'?: (_pasid_v1_NativeAttachment | null);
}

export interface AttachDeviceResponse__Output {
  'device': (_pasid_v1_Device__Output | null);
  'native': (_pasid_v1_NativeAttachment__Output | null);
}
