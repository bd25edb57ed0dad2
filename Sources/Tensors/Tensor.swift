/// A contiguous, row-major, immutable array of elements with a type and a shape.
///
/// The bytes are little-endian as in the checkpoint formats. Copies share the storage; a tensor
/// may be a window into larger storage, such as a mapped file.
public struct Tensor: Sendable {
  /// The element type.
  public let dtype: DType
  /// The extents, outermost first.
  public let shape: Shape
  /// How many bytes the elements take.
  public let byteCount: Int

  private let storage: TensorStorage
  private let offset: Int

  /// Makes a tensor whose bytes the closure writes.
  ///
  /// - Parameters:
  ///   - dtype: the element type.
  ///   - shape: the extents; they must fill whole blocks of the type.
  ///   - initialize: writes every byte of the buffer, which is aligned to 64 bytes and holds
  ///     anything.
  /// - Throws: what the closure throws.
  public init<E: Error>(
    _ dtype: DType,
    _ shape: Shape,
    initialize: (UnsafeMutableRawBufferPointer) throws(E) -> Void
  ) throws(E) {
    guard let byteCount = dtype.byteCount(elementCount: shape.elementCount) else {
      preconditionFailure("\(shape) does not fill whole blocks of \(dtype.rawValue)")
    }
    let storage = TensorStorage(byteCount: byteCount)
    try initialize(storage.mutableBytes)
    self.init(dtype, shape, storage: storage, offset: 0, byteCount: byteCount)
  }

  /// Makes a tensor over bytes that something else owns, such as a mapped file.
  ///
  /// - Parameters:
  ///   - dtype: the element type.
  ///   - shape: the extents; they must take exactly `bytes.count` bytes.
  ///   - bytes: the elements; they must not change while `owner` lives.
  ///   - owner: kept alive as long as the tensor or a copy of it.
  public init(
    _ dtype: DType,
    _ shape: Shape,
    borrowing bytes: UnsafeRawBufferPointer,
    owner: any AnyObject & Sendable
  ) {
    precondition(dtype.byteCount(elementCount: shape.elementCount) == bytes.count)
    self.init(
      dtype,
      shape,
      storage: TensorStorage(borrowing: bytes, owner: owner),
      offset: 0,
      byteCount: bytes.count
    )
  }

  private init(_ dtype: DType, _ shape: Shape, storage: TensorStorage, offset: Int, byteCount: Int)
  {
    self.dtype = dtype
    self.shape = shape
    self.storage = storage
    self.offset = offset
    self.byteCount = byteCount
  }

  /// Lends the bytes of the elements for the time of the call.
  ///
  /// - Throws: what the closure throws.
  public func withBytes<R, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> R
  ) throws(E) -> R {
    try body(UnsafeRawBufferPointer(rebasing: storage.bytes[offset..<offset + byteCount]))
  }

  /// Lends the elements as values of a Swift type of the same size, for the time of the call.
  ///
  /// - Precondition: the tensor's bytes are aligned for the type, as owned storage always is.
  /// - Throws: what the closure throws.
  public func withElements<T: BitwiseCopyable, R, E: Error>(
    as type: T.Type,
    _ body: (UnsafeBufferPointer<T>) throws(E) -> R
  ) throws(E) -> R {
    precondition(MemoryLayout<T>.stride == dtype.block.bytes && dtype.block.elements == 1)
    return try withBytes { bytes throws(E) -> R in
      if let base = bytes.baseAddress {
        precondition(Int(bitPattern: base) % MemoryLayout<T>.alignment == 0)
      }
      return try body(bytes.assumingMemoryBound(to: T.self))
    }
  }

  /// The elements as an array of a Swift type of the same size.
  public func elements<T: BitwiseCopyable>(as type: T.Type) -> [T] {
    withElements(as: T.self) { Array($0) }
  }

  /// The same elements under another shape with as many of them.
  public func reshaped(to shape: Shape) -> Tensor {
    precondition(shape.elementCount == self.shape.elementCount)
    return Tensor(dtype, shape, storage: storage, offset: offset, byteCount: byteCount)
  }

  /// A run of the elements in row-major order, as a tensor of one dimension that shares the storage.
  ///
  /// - Precondition: the range lies in the tensor and fills whole blocks of its type.
  public func elements(_ range: Range<Int>) -> Tensor {
    precondition(range.upperBound <= shape.elementCount)
    let info = TensorInfo(dtype, [range.count])
    guard let byteCount = info.byteCount else {
      preconditionFailure("a block cannot be cut")
    }
    return Tensor(
      dtype,
      info.shape,
      storage: storage,
      offset: offset + info.byteOffset(ofElement: range.lowerBound),
      byteCount: byteCount
    )
  }

  /// The rows of the outermost dimension in a range, sharing the storage.
  public func rows(_ range: Range<Int>) -> Tensor {
    precondition(shape.rank >= 1 && range.upperBound <= shape[0])
    let row = shape[0] == 0 ? 0 : byteCount / shape[0]
    let dimensions = [range.count] + shape.dimensions.dropFirst()
    return Tensor(
      dtype,
      Shape(dimensions),
      storage: storage,
      offset: offset + range.lowerBound * row,
      byteCount: range.count * row
    )
  }
}

extension Tensor {
  /// Makes a float32 tensor from its elements in row-major order.
  public init(_ elements: [Float], shape: Shape? = nil) {
    self.init(.f32, shape ?? [elements.count], copying: elements)
  }

  /// Makes a tensor from elements of a Swift type of the same size, in row-major order.
  public init<T: BitwiseCopyable>(_ dtype: DType, _ shape: Shape, copying elements: [T]) {
    precondition(elements.count == shape.elementCount)
    self.init(dtype, shape) { bytes in
      elements.withUnsafeBytes { bytes.copyMemory(from: $0) }
    }
  }

  /// Whether type, shape and every byte are equal.
  public func isIdentical(to other: Tensor) -> Bool {
    guard dtype == other.dtype, shape == other.shape else { return false }
    return withBytes { left in other.withBytes { right in left.elementsEqual(right) } }
  }
}
