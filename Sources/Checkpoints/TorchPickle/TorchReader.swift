import KaratBytes
public import KaratTensors
import Synchronization

/// The tensors of a PyTorch file, `.bin`, `.pt` or `.pth`, as torch.save writes it since version 1.6.
///
/// The pickle is taken apart and never run: what is not on short lists of operations and names ends
/// the reading. The rules are in `formats/pytorch.md`.
public struct TorchReader: TensorSource {
  /// Names, types and shapes in the order of the pickle.
  public let manifest: Manifest
  /// What the file holds besides, by its path: numbers, `None`s, an optimizer's state.
  public let others: [TensorName]

  private let file: CheckpointFile
  private let archive: TorchArchive
  /// In the order of the manifest.
  private let tensors: [TorchTensor]
  private let checked = CheckedStorages()

  /// Opens a file, and reads and checks what it says about its tensors.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - access: whether tensors are copied out of the file or lie in mapped memory.
  /// - Throws: `CheckpointError` where the file cannot be read or breaks a rule of the format.
  public init(_ path: String, access: FileAccess = .copied) throws(CheckpointError) {
    try self.init(try CheckpointFile(path, access: access))
  }

  /// Reads and checks a file that is open already.
  package init(_ file: CheckpointFile) throws(CheckpointError) {
    let archive = try TorchArchive(file)
    let state = try Self.state(of: archive, in: file)
    var manifest = Manifest()
    manifest.reserveCapacity(state.tensors.count)
    // What repeats elements could make a gigabyte of a byte, and a thousand names a thousand of them.
    let (scaled, isEndless) = file.byteCount.multipliedReportingOverflow(by: Self.largestRatio)
    let limit = isEndless ? .max : max(scaled, Self.freeByteCount)
    var total = 0
    for (name, tensor) in state.tensors {
      let (sum, overflow) = total.addingReportingOverflow(tensor.info.byteCount ?? 0)
      guard !overflow, sum <= limit else {
        throw CheckpointError(
          .unsupported,
          file: file.path,
          tensor: name,
          "the tensors up to this one take \(overflow ? "2^63" : String(sum)) bytes; at most"
            + " \(limit) are made of a file of \(file.byteCount). Save clones of tensors that repeat"
            + " their elements."
        )
      }
      total = sum
      manifest.set(name, tensor.info)
    }
    self.file = file
    self.archive = archive
    self.manifest = manifest
    tensors = state.tensors.map(\.tensor)
    others = state.others
  }

  /// The most bytes of tensors for each byte of the file; fewer than `freeByteCount` always are made.
  private static let largestRatio = 4
  private static let freeByteCount = 1 << 25

  private static func state(
    of archive: TorchArchive,
    in file: CheckpointFile
  ) throws(CheckpointError) -> TorchStateDict {
    let tree: PickleTree
    do throws(PickleParser.Fault) {
      tree = try PickleParser.tree(of: archive.pickle)
    } catch {
      throw CheckpointError(
        .malformed,
        file: file.path,
        "data.pkl, byte \(error.offset): \(error.message)"
      )
    }
    do throws(TorchFault) {
      return try TorchStateDict(tree, in: archive)
    } catch {
      throw CheckpointError(error.kind, file: file.path, tensor: error.tensor, error.message)
    }
  }

  /// Reads a tensor; one that lies transposed or in steps is put in row-major order.
  ///
  /// - Throws: `CheckpointError` where there is none of that name, the file cannot be read, or the
  ///   bytes are not what was written.
  public func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    let tensor = try checkedTensor(name)
    guard tensor.layout.isContiguous else {
      return try gather(0..<tensor.info.shape.elementCount, of: name, tensor)
        .reshaped(to: tensor.info.shape)
    }
    return try file.tensor(name, tensor.info, at: tensor.layout.firstByte)
  }

  /// Every tensor is, in whatever order its elements lie.
  public func isDivisible(_ name: TensorName) -> Bool { true }

  /// Reads a run of a tensor's elements.
  ///
  /// - Throws: `CheckpointError` as `tensor(_:)` does.
  public func elements(
    _ range: Range<Int>,
    of name: TensorName
  ) throws(CheckpointError) -> Tensor {
    let tensor = try checkedTensor(name)
    guard tensor.layout.isContiguous else { return try gather(range, of: name, tensor) }
    return try file.elements(range, of: name, tensor.info, at: tensor.layout.firstByte)
  }

  private func gather(
    _ range: Range<Int>,
    of name: TensorName,
    _ tensor: TorchTensor
  ) throws(CheckpointError) -> Tensor {
    let info = TensorInfo(tensor.info.dtype, [range.count])
    let block = info.dtype.block.elements
    try file.checkMemory(for: info.byteCount ?? 0, of: name)
    return try Tensor(info.dtype, info.shape) { buffer throws(CheckpointError) in
      try tensor.layout.read(
        range.lowerBound / block..<range.upperBound / block,
        of: file,
        into: buffer
      )
    }
  }

  /// The tensor of that name, whose storage's checksum is right.
  private func checkedTensor(_ name: TensorName) throws(CheckpointError) -> TorchTensor {
    guard let place = manifest.place(of: name) else { throw .missing(name, in: file.path) }
    let tensor = tensors[place]
    if let record = archive.storage(tensor.storage), !checked.contains(record.offset) {
      try archive.check(record)
      checked.insert(record.offset)
    }
    return tensor
  }
}

/// The storages whose bytes were compared with their checksum, by where they start in the file.
private final class CheckedStorages: Sendable {
  private let offsets = Mutex<Set<Int>>([])

  func contains(_ offset: Int) -> Bool { offsets.withLock { $0.contains(offset) } }

  func insert(_ offset: Int) { offsets.withLock { _ = $0.insert(offset) } }
}
