// Original file: proto/pasid/v1/vfio_uapi.proto


export interface OpenContainerRequest {
  'requestId'?: (string);
  'devices'?: (string)[];
}

export interface OpenContainerRequest__Output {
  'requestId': (string);
  'devices': (string)[];
}
