import KaratBytes
import KaratCheckpoints
import KaratKernels
public import KaratTensors

/// Takes in a teacher's probabilities window by window, in any order, and writes them as one file.
///
/// Until then they lie in a file without a name, so that memory holds one window at a time, whatever
/// the number of them. The store appears whole or not at all.
public final class TeacherStoreWriter {
  private let path: String
  private let key: TeacherStoreKey
  private let scratch: ScratchSource
  private var isFilled: [Bool]

  /// Prepares a store.
  ///
  /// - Parameters:
  ///   - path: where it will appear.
  ///   - key: what it depends on.
  ///   - windows: the tokens, windows of one length, those of the key.
  /// - Throws: `TeacherStoreError` where there is nothing to store or windows differ in length,
  ///   `FileError` where the disk is full or fails.
  public init(_ path: String, _ key: TeacherStoreKey, windows: [[Int32]]) throws {
    guard key.windows > 0, key.length > 0 else {
      throw TeacherStoreError(path, "there are no windows to store. Give more text.")
    }
    if let odd = windows.firstIndex(where: { $0.count != key.length }) {
      throw TeacherStoreError(
        path,
        "window \(odd) has \(windows[odd].count) tokens, and the first \(key.length); a store's "
          + "windows have one length. Leave the shorter ones out."
      )
    }
    guard (1...max(key.vocabulary, 1)).contains(key.k) else {
      throw TeacherStoreError(
        path,
        "the \(key.k) most likely tokens were asked for; the teacher gives \(key.vocabulary). Ask "
          + "for 1 to \(key.vocabulary)."
      )
    }
    precondition(key.data == TeacherStoreKey.digest(windows), "the key is of these windows")
    self.path = path
    self.key = key
    isFilled = Array(repeating: false, count: key.windows)
    scratch = try ScratchSource(key)
    for (index, window) in windows.enumerated() {
      try scratch.write(window.map(\.littleEndian), to: "input_ids", at: index * key.length)
    }
  }

  /// Takes in what the teacher gives for a window.
  ///
  /// - Throws: `TeacherStoreError` where it is no probabilities, `FileError` where the disk is full or
  ///   fails.
  public func add(_ window: Int, _ top: TopTokens) throws {
    precondition(top.k == key.k && top.count == key.length && isFilled.indices.contains(window))
    let first = window * key.length
    guard top.logProbabilities.allSatisfy({ $0 <= 0 }),
      top.rest.allSatisfy({ (0...1).contains($0) })
    else {
      throw TeacherStoreError(path, "window \(window): the teacher gives no probabilities.")
    }
    if key.indexType == .u16 {
      let indices = top.indices.map { UInt16(truncatingIfNeeded: $0).littleEndian }
      try scratch.write(indices, to: "indices", at: first * key.k)
    } else {
      try scratch.write(top.indices.map(\.littleEndian), to: "indices", at: first * key.k)
    }
    let logs = Tensor(top.logProbabilities).cast(to: .f16, on: Workers(threads: 1)).tensor
    try logs.withBytes { try scratch.write($0, to: "log_probabilities", at: first * key.k) }
    try scratch.write(top.rest, to: "rest", at: first)
    isFilled[window] = true
  }

  /// Writes the file.
  ///
  /// - Parameter isReplacing: whether a file that is there may be replaced.
  /// - Throws: `TeacherStoreError` where a window is missing, `CheckpointError` where the file exists,
  ///   or the disk is full or fails; no file is left then.
  public func finish(replacing isReplacing: Bool = false) throws {
    if let missing = isFilled.firstIndex(of: false) {
      throw TeacherStoreError(
        path,
        "window \(missing) of \(key.windows) has no probabilities; all are needed."
      )
    }
    try SafetensorsWriter(metadata: key.metadata, replacing: isReplacing).write(scratch, to: path)
  }
}

/// The tensors of a store while they are gathered, in a file without a name.
private struct ScratchSource: TensorSource {
  let manifest: Manifest
  private let file: ScratchFile
  private let offsets: [TensorName: Int]

  init(_ key: TeacherStoreKey) throws(FileError) {
    var manifest = Manifest()
    var offsets: [TensorName: Int] = [:]
    var end = 0
    for (name, info) in key.tensors {
      manifest.set(name, info)
      offsets[name] = end
      end += info.byteCount ?? 0
    }
    self.manifest = manifest
    self.offsets = offsets
    file = try ScratchFile()
  }

  func write<T: BitwiseCopyable>(
    _ elements: [T],
    to name: TensorName,
    at first: Int
  ) throws(FileError) {
    try elements.span.withUnsafeBytes { bytes throws(FileError) in
      try write(bytes, to: name, at: first)
    }
  }

  func write(
    _ bytes: UnsafeRawBufferPointer,
    to name: TensorName,
    at first: Int
  ) throws(FileError) {
    guard let info = manifest[name], let offset = offsets[name] else { return }
    try file.write(bytes, at: offset + info.byteOffset(ofElement: first))
  }

  func tensor(_ name: TensorName) throws(CheckpointError) -> Tensor {
    guard let info = manifest[name] else { throw .missing(name, in: "the store") }
    return try elements(0..<info.shape.elementCount, of: name).reshaped(to: info.shape)
  }

  func elements(_ range: Range<Int>, of name: TensorName) throws(CheckpointError) -> Tensor {
    guard let info = manifest[name], let offset = offsets[name] else {
      throw .missing(name, in: "the store")
    }
    return try CheckpointError.onFiles { () throws(FileError) in
      try Tensor(info.dtype, [range.count]) { bytes throws(FileError) in
        try file.read(into: bytes, at: offset + info.byteOffset(ofElement: range.lowerBound))
      }
    }
  }

  func isDivisible(_ name: TensorName) -> Bool { true }
}
