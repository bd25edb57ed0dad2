import KaratBytes
public import KaratTensors

/// The tensors of a safetensors file.
public struct SafetensorsReader: TensorSource {
  /// The header, checked.
  public let header: SafetensorsHeader
  /// Names, types and shapes in the order of the header, and the text under `__metadata__`.
  public var manifest: Manifest { header.manifest }

  private let file: CheckpointFile

  /// Opens a file, and reads and checks its header.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - access: whether tensors are copied out of the file or lie in mapped memory.
  /// - Throws: `CheckpointError` where the file cannot be read or breaks a rule of the format.
  public init(_ path: String, access: FileAccess = .copied) throws(CheckpointError) {
    try self.init(try CheckpointFile(path, access: access))
  }

  /// Reads and checks the header of a file that is open already.
  package init(_ file: CheckpointFile) throws(CheckpointError) {
    self.file = file
    header = try SafetensorsHeader(of: file)
  }

  /// Reads a tensor.
  ///
  /// - Throws: `CheckpointError` where there is none of that name, or the file cannot be read.
  public func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    guard let (info, offset) = header.entry(of: name) else { throw .missing(name, in: file.path) }
    return try file.tensor(name, info, at: offset)
  }

  /// Every tensor is.
  public func isDivisible(_ name: TensorName) -> Bool { true }

  /// Reads a run of a tensor's elements.
  ///
  /// - Throws: `CheckpointError` where there is none of that name, or the file cannot be read.
  public func elements(
    _ range: Range<Int>,
    of name: TensorName
  ) throws(CheckpointError) -> Tensor {
    guard let (info, offset) = header.entry(of: name) else { throw .missing(name, in: file.path) }
    return try file.elements(range, of: name, info, at: offset)
  }
}
