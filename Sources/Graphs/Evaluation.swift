package import KaratKernels
package import KaratTensors

/// A value in memory while a graph runs: extents in numbers, and where its elements lie.
package struct Operand {
  package let dtype: DType
  package let shape: Shape
  package let address: UnsafeMutableRawPointer

  package init(dtype: DType, shape: Shape, address: UnsafeMutableRawPointer) {
    self.dtype = dtype
    self.shape = shape
    self.address = address
  }

  /// The innermost extent.
  package var features: Int { shape.dimensions.last ?? 1 }
  /// The product of the outer extents.
  package var rows: Int { shape.dimensions.dropLast().reduce(1, *) }
  package var count: Int { shape.elementCount }

  package var floats: UnsafePointer<Float> { UnsafePointer(mutableFloats) }
  package var mutableFloats: UnsafeMutablePointer<Float> { bound(to: Float.self, .f32) }
  package var codes: UnsafePointer<UInt8> { UnsafePointer(mutableCodes) }
  package var mutableCodes: UnsafeMutablePointer<UInt8> { bound(to: UInt8.self, .u8) }
  package var signedCodes: UnsafePointer<Int8> { UnsafePointer(mutableSignedCodes) }
  package var mutableSignedCodes: UnsafeMutablePointer<Int8> { bound(to: Int8.self, .i8) }
  package var ids: UnsafePointer<Int32> { UnsafePointer(mutableIds) }
  package var mutableIds: UnsafeMutablePointer<Int32> { bound(to: Int32.self, .i32) }

  private func bound<T>(to type: T.Type, _ needed: DType) -> UnsafeMutablePointer<T> {
    precondition(dtype == needed, "the operand holds \(dtype.rawValue), not \(needed.rawValue)")
    return address.assumingMemoryBound(to: T.self)
  }

  /// A copy that outlives the run.
  package func copied() -> Tensor {
    Tensor(dtype, shape) { bytes in
      if let base = bytes.baseAddress { base.copyMemory(from: address, byteCount: bytes.count) }
    }
  }
}

/// What an operation sees when it is evaluated.
package struct Evaluation {
  /// Its node's place in the graph: what a cache files its state under.
  package let place: Int
  package let inputs: [Operand]
  package let outputs: [Operand]
  /// The packed form of the input that the operation asked for.
  package let packed: PackedInt8Weight?
  package let binding: Binding
  package let workers: Workers
  /// Tables that depend on positions alone, shared by all layers.
  package let rotations: RotationCache
  /// Keys and values of earlier tokens, or nil where every run is a whole sequence.
  package let cache: KeyValueCache?
  /// In which numbers matrices are multiplied, or nil for float32.
  package var rounding: Rounding?

  package init(
    place: Int,
    inputs: [Operand],
    outputs: [Operand],
    packed: PackedInt8Weight?,
    binding: Binding,
    workers: Workers,
    rotations: RotationCache,
    cache: KeyValueCache?
  ) {
    self.place = place
    self.inputs = inputs
    self.outputs = outputs
    self.packed = packed
    self.binding = binding
    self.workers = workers
    self.rotations = rotations
    self.cache = cache
  }
}
