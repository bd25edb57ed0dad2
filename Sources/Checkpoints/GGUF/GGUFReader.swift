import KaratBytes
public import KaratTensors

/// The tensors and the metadata of a GGUF file of version 2 or 3, under the file's own names.
///
/// Quantized tensors come as their raw blocks. `GGUFModelSource` gives the same model under the
/// names and in the arrangement of Hugging Face.
public struct GGUFReader: TensorSource {
  /// Names, types and shapes in the order of the file; dimensions are reversed to row-major.
  public let manifest: Manifest
  /// The typed values that describe the model and its tokenizer.
  public let metadata: GGUFMetadata
  /// The file, as the user named it.
  public var path: String { file.path }

  private let file: CheckpointFile
  private let offsets: [TensorName: Int]

  /// Opens a file, and reads and checks its header.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - access: whether tensors are copied out of the file or lie in mapped memory.
  /// - Throws: `CheckpointError` where the file cannot be read, breaks a rule of the format, or
  ///   holds a type of blocks that is not read.
  public init(_ path: String, access: FileAccess = .copied) throws(CheckpointError) {
    try self.init(try CheckpointFile(path, access: access))
  }

  /// Reads and checks the header of a file that is open already.
  package init(_ file: CheckpointFile) throws(CheckpointError) {
    self.file = file
    let header = try GGUFHeader(of: file)
    manifest = header.manifest
    metadata = header.metadata
    offsets = header.offsets
  }

  /// Reads a tensor as it lies in the file.
  ///
  /// - Throws: `CheckpointError` where there is none of that name, or the file cannot be read.
  public func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    guard let info = manifest[name], let offset = offsets[name] else {
      throw .missing(name, in: file.path)
    }
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
    guard let info = manifest[name], let offset = offsets[name] else {
      throw .missing(name, in: file.path)
    }
    return try file.elements(range, of: name, info, at: offset)
  }
}

extension GGUFReader {
  /// Reads a run of a tensor's elements, quantized blocks as float32.
  ///
  /// The run need not begin or end where blocks do.
  func decodedElements(
    _ range: Range<Int>,
    of name: TensorName
  ) throws(CheckpointError) -> Tensor {
    guard let info = manifest[name] else { throw .missing(name, in: path) }
    let block = info.dtype.block.elements
    let first = range.lowerBound / block * block
    let end = (range.upperBound + block - 1) / block * block
    let decoded = dequantized(try elements(first..<end, of: name))
    return decoded.elements(range.lowerBound - first..<range.upperBound - first)
  }
}
