/// Anything that tensors can be pulled from: a checkpoint's reader, or what a pass returns.
///
/// The whole of Karat is a river of these. Names, types and shapes are known at once; bytes are
/// pulled one tensor at a time, or a run of elements at a time, so that a conversion holds little in
/// memory, whatever the size of the checkpoint. Pulling the same twice gives the same bytes.
public protocol TensorSource: Sendable {
  /// What the source holds.
  var manifest: Manifest { get }

  /// Reads or computes one tensor, with the type and shape that the manifest says.
  ///
  /// - Throws: `CheckpointError` where there is no tensor of that name, or its bytes cannot be had.
  func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor

  /// Reads or computes a run of a tensor's elements, counted in row-major order.
  ///
  /// What reads a file or computes element by element holds no more than the run in memory; the rest
  /// computes the tensor and cuts.
  ///
  /// - Precondition: the range lies in the tensor and fills whole blocks of its type.
  /// - Returns: a tensor of one dimension, of the type that the manifest says.
  /// - Throws: `CheckpointError` as `tensor(_:)` does.
  func elements(_ range: Range<Int>, of name: TensorName) throws(CheckpointError) -> Tensor

  /// Whether a run of a tensor's elements costs no more than its share of the tensor.
  ///
  /// Where it does not, who needs the whole tensor should pull it at once.
  func isDivisible(_ name: TensorName) -> Bool
}

extension TensorSource {
  /// Nothing is, unless the source says so.
  public func isDivisible(_ name: TensorName) -> Bool { false }

  /// Pulls the tensor, and cuts.
  public func elements(
    _ range: Range<Int>,
    of name: TensorName
  ) throws(CheckpointError) -> Tensor {
    try tensor(name).elements(range)
  }

  /// The same tensors under a manifest that this closure changed, or new tensors beside them.
  ///
  /// - Parameters:
  ///   - changes: what is added or replaced: each tensor's description and how to compute it.
  ///   - removed: names that are no longer there.
  /// - Returns: a source that computes a changed tensor when it is pulled, and not before.
  public func overlaid(
    with changes: [TensorName: DerivedTensor],
    removing removed: Set<TensorName> = []
  ) -> OverlaySource {
    OverlaySource(base: self, changes: changes, removed: removed)
  }
}

/// A tensor that is computed when it is pulled.
public struct DerivedTensor: Sendable {
  /// Its type and shape.
  public let info: TensorInfo
  /// Computes a run of its elements, as a tensor of one dimension.
  public let computeElements: @Sendable (Range<Int>) throws(CheckpointError) -> Tensor
  /// Whether a run of elements costs no more than its share.
  public let isDivisible: Bool

  private let computeWhole: (@Sendable () throws(CheckpointError) -> Tensor)?

  /// Describes a tensor that is computed as a whole.
  ///
  /// - Parameters:
  ///   - info: its type and shape.
  ///   - compute: computes it, with that type and shape.
  public init(
    _ info: TensorInfo,
    compute: @escaping @Sendable () throws(CheckpointError) -> Tensor
  ) {
    self.info = info
    isDivisible = false
    computeWhole = compute
    computeElements = { range throws(CheckpointError) in try compute().elements(range) }
  }

  /// Describes a tensor of which any run of elements can be computed by itself.
  ///
  /// - Parameters:
  ///   - info: its type and shape.
  ///   - isDivisible: whether a run costs no more than its share: false where it is computed from
  ///     a tensor that is not divisible itself.
  ///   - compute: computes a run of elements in row-major order, as a tensor of one dimension.
  public init(
    _ info: TensorInfo,
    isDivisible: Bool,
    computingElements compute: @escaping @Sendable (Range<Int>) throws(CheckpointError) -> Tensor
  ) {
    self.info = info
    self.isDivisible = isDivisible
    computeWhole = nil
    computeElements = compute
  }

  /// Computes the tensor.
  public func compute() throws(CheckpointError) -> Tensor {
    if let computeWhole { return try computeWhole() }
    return try computeElements(0..<info.shape.elementCount).reshaped(to: info.shape)
  }

  /// A tensor that is there already.
  public init(_ tensor: Tensor) {
    self.init(TensorInfo(tensor.dtype, tensor.shape), isDivisible: true) {
      range throws(CheckpointError) in tensor.elements(range)
    }
  }
}

/// A source with some tensors added, replaced or removed; the rest pass through.
public struct OverlaySource: TensorSource {
  /// What the source holds after the changes.
  public let manifest: Manifest

  private let base: any TensorSource
  private let changes: [TensorName: DerivedTensor]

  init(
    base: any TensorSource,
    changes: [TensorName: DerivedTensor],
    removed: Set<TensorName>
  ) {
    var manifest = base.manifest
    manifest.removeAll { removed.contains($0) }
    for name in changes.keys.sorted() {
      if let change = changes[name] { manifest.set(name, change.info) }
    }
    self.base = base
    self.changes = changes
    self.manifest = manifest
  }

  /// Computes a changed tensor, or pulls an unchanged one from the source below.
  public func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    if let change = changes[name] { return try change.compute() }
    guard manifest[name] != nil else { throw .missing(name, in: "the checkpoint") }
    return try base.tensor(name)
  }

  /// Computes elements of a changed tensor, or pulls those of an unchanged one.
  public func elements(
    _ range: Range<Int>,
    of name: TensorName
  ) throws(CheckpointError) -> Tensor {
    if let change = changes[name] { return try change.computeElements(range) }
    guard manifest[name] != nil else { throw .missing(name, in: "the checkpoint") }
    return try base.elements(range, of: name)
  }

  /// As the change says, or the source below.
  public func isDivisible(_ name: TensorName) -> Bool {
    changes[name]?.isDivisible ?? base.isDivisible(name)
  }
}

/// Tensors that are all in memory.
public struct MemorySource: TensorSource {
  /// What the source holds, sorted by name.
  public let manifest: Manifest

  private let tensors: [TensorName: Tensor]

  /// Makes a source of tensors in memory.
  public init(_ tensors: [TensorName: Tensor], metadata: [String: String] = [:]) {
    var manifest = Manifest(metadata: metadata)
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      manifest.set(name, TensorInfo(tensor.dtype, tensor.shape))
    }
    self.tensors = tensors
    self.manifest = manifest
  }

  /// The tensor of that name.
  public func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    guard let tensor = tensors[name] else { throw .missing(name, in: "memory") }
    return tensor
  }

  /// Every tensor is.
  public func isDivisible(_ name: TensorName) -> Bool { true }
}
