// Original file: proto/pasid/v1/operator.proto

import type { Device as _pasid_v1_Device, Device__Output as _pasid_v1_Device__Output } from '../../pasid/v1/Device.js';
import type { Long } from '@grpc/proto-loader';

export interface ListDevicesResponse {
  'devices'?: (_pasid_v1_Device)[];
  'nextPageToken'?: (string);
  'revision'?: (number | string | Long);
}

export interface ListDevicesResponse__Output {
  'devices': (_pasid_v1_Device__Output)[];
  'nextPageToken': (string);
  'revision': (string);
}
