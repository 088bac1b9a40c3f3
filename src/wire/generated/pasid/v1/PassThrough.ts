// Original file: proto/pasid/v1/types.proto


export interface PassThrough {
}

export interface PassThrough__Output {
}
