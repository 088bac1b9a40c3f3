// Original file: proto/pasid/v1/vfio_uapi.proto


export interface CloseContainerRequest {
  'session'?: (string);
}

export interface CloseContainerRequest__Output {
  'session': (string);
}
