// Original file: proto/pasid/v1/pasid_broker.proto

import type { BoundDevice as _pasid_v1_BoundDevice, BoundDevice__Output as _pasid_v1_BoundDevice__Output } from '../../pasid/v1/BoundDevice.js';
import type { Long } from '@grpc/proto-loader';

export interface BindPasidResponse {
  'revision'?: (number | string | Long);
  'devices'?: (_pasid_v1_BoundDevice)[];
}

export interface BindPasidResponse__Output {
  'revision': (string);
  'devices': (_pasid_v1_BoundDevice__Output)[];
}
