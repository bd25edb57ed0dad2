import KaratBytes
public import KaratTensors

/// The tensors and the metadata of a GGUF file of version 2 or 3, under the file's own names.
///
/// Where the file is the first part of a split model, the tensors are those of all its parts.
/// Quantized tensors come as their raw blocks. `GGUFModelSource` gives the same model under the
/// names and in the arrangement of Hugging Face.
public struct GGUFReader: TensorSource {
  /// Names, types and shapes in the order of the file; dimensions are reversed to row-major.
  public let manifest: Manifest
  /// The typed values that describe the model and its tokenizer.
  public let metadata: GGUFMetadata
  /// The file, as the user named it.
  public let path: String
  /// The files that are read: one, or the parts of a split model in order.
  public var files: [String] { parts.map(\.path) }

  private struct Place {
    let part: Int
    let offset: Int
  }
  private let parts: [CheckpointFile]
  private let places: [TensorName: Place]

  /// Opens a file, and reads and checks its header; those of the other parts too where it is split.
  ///
  /// - Parameters:
  ///   - path: the file; of a split model the first one.
  ///   - access: whether tensors are copied out of the file or lie in mapped memory.
  /// - Throws: `CheckpointError` where the file cannot be read, breaks a rule of the format, or
  ///   holds a type of blocks that is not read.
  public init(_ path: String, access: FileAccess = .copied) throws(CheckpointError) {
    try self.init(try CheckpointFile(path, access: access), access: access)
  }

  /// Reads and checks the header of a file that is open already.
  package init(
    _ file: CheckpointFile,
    access: FileAccess = .copied
  ) throws(CheckpointError) {
    let header = try GGUFHeader(of: file)
    var manifest = header.manifest
    var parts = [file]
    var places = header.offsets.mapValues { Place(part: 0, offset: $0) }
    if let split = try GGUFSplit(header.metadata, path: file.path) {
      for (part, path) in try split.paths().enumerated().dropFirst() {
        let file = try CheckpointFile(path, access: access)
        let header = try GGUFHeader(of: file)
        try split.check(try GGUFSplit(header.metadata, path: path), at: part, path: path)
        for name in header.manifest.names {
          guard let info = header.manifest[name], let offset = header.offsets[name],
            manifest.set(name, info)
          else {
            throw CheckpointError(
              .malformed,
              file: path,
              tensor: name,
              "an earlier part of the model holds a tensor of this name too."
            )
          }
          places[name] = Place(part: part, offset: offset)
        }
        parts.append(file)
      }
      try split.check(tensorCount: manifest.count)
    }
    path = file.path
    metadata = header.metadata
    self.manifest = manifest
    self.parts = parts
    self.places = places
  }

  /// Reads a tensor as it lies in the file.
  ///
  /// - Throws: `CheckpointError` where there is none of that name, or the file cannot be read.
  public func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    guard let info = manifest[name], let place = places[name] else {
      throw .missing(name, in: path)
    }
    return try parts[place.part].tensor(name, info, at: place.offset)
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
    guard let info = manifest[name], let place = places[name] else {
      throw .missing(name, in: path)
    }
    return try parts[place.part].elements(range, of: name, info, at: place.offset)
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
