// Original file: proto/pasid/v1/vfio_uapi.proto


export interface CloseContainerResponse {
  'freed'?: (number);
  'durable'?: (boolean);
}

export interface CloseContainerResponse__Output {
  'freed': (number);
  'durable': (boolean);
}
