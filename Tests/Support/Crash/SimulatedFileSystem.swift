import Foundation
package import KaratBytes
import Synchronization

/// A file system in memory that logs what happens to its disk, and that fails calls as it is told.
///
/// It has files and folders, descriptors and locks as the real one has, and no symbolic links. What
/// its disk may hold after a power cut, `CrashStates` tells from the log.
package final class SimulatedFileSystem: FileSystem {
  private let state: Mutex<State>

  struct State {
    var disk: SimulatedDisk
    var settled: SimulatedDisk
    var log: [DiskOperation] = []
    var descriptors: [Int32: Int] = [:]
    /// The node of each open file; descriptors that were duplicated share one.
    var openFiles: [Int] = []
    /// The open file that has the lock of a node.
    var locks: [Int: Int] = [:]
    var calls: [Call] = []
    var faults: FaultPlan?
    var lacks: Set<Ability> = []
    var capacity = Int.max
  }

  /// A file system on a disk as it is found at the start.
  package init(_ disk: SimulatedDisk = SimulatedDisk(), lacking lacks: Set<Ability> = []) {
    state = Mutex(State(disk: disk, settled: disk, lacks: lacks))
  }

  /// A file system as a process finds it that comes after another was killed: what that one wrote is
  /// there, and does not last yet.
  package init(continuing history: CrashStates, lacking lacks: Set<Ability>) {
    let disk = history.disk(after: history.operationCount)
    state = Mutex(State(disk: disk, settled: history.settled, log: history.log, lacks: lacks))
  }

  // MARK: What tests do and see

  /// What the file system cannot do; calls for it give `ENOTSUP`.
  package var lacks: Set<Ability> {
    get { state.withLock { $0.lacks } }
    set { state.withLock { $0.lacks = newValue } }
  }

  /// The most bytes in all files; writing goes as far as they reach, and then gives `ENOSPC`.
  package var capacity: Int {
    get { state.withLock { $0.capacity } }
    set { state.withLock { $0.capacity = newValue } }
  }

  /// How many bytes all files hold.
  package var byteCount: Int { state.withLock { $0.byteCount } }

  /// What fails, counted from the last `settle()`.
  package var faults: FaultPlan? {
    get { state.withLock { $0.faults } }
    set { state.withLock { $0.faults = newValue } }
  }

  /// The calls since the last `settle()`.
  package var calls: [Call] { state.withLock { $0.calls } }

  /// How many descriptors are open.
  package var openCount: Int { state.withLock { $0.descriptors.count } }

  /// What the disk held at the last `settle()`, and what happened to it since.
  package var history: CrashStates {
    state.withLock { CrashStates(settled: $0.settled, log: $0.log) }
  }

  /// Everything so far lasts; calls are counted and logged anew.
  package func settle() {
    state.withLock {
      $0.settled = $0.disk
      $0.log = []
      $0.calls = []
    }
  }

  /// All that a folder holds, by path, as `SimulatedDisk.tree` gives it; nil where there is none.
  package func tree(at path: String = "/") -> [String: [UInt8]]? {
    state.withLock {
      guard let node = try? $0.node(at: path) else { return nil }
      return $0.disk.files[node].map { [path: $0] } ?? $0.disk.tree(at: node)
    }
  }

  /// The bytes of a file; nil where there is none.
  package func contents(_ path: String) -> [UInt8]? {
    state.withLock {
      guard let node = try? $0.node(at: path) else { return nil }
      return $0.disk.files[node]
    }
  }

  /// Makes a file with these bytes, and the folders on the way to it.
  package func put(_ bytes: [UInt8], at path: String) {
    state.withLock { state in
      var folder = SimulatedDisk.root
      let names = State.names(of: path)
      for name in names.dropLast() {
        folder = state.disk.folders[folder]?[name] ?? state.make(name, in: folder, isFolder: true)
      }
      guard let name = names.last else { return }
      let file = state.disk.folders[folder]?[name] ?? state.make(name, in: folder, isFolder: false)
      state.apply(.truncate(file, to: 0))
      state.apply(.write(file, offset: 0, bytes))
    }
  }

  // MARK: The calls

  package func open(_ path: String, for purpose: OpenPurpose) throws(Errno) -> Int32 {
    try call(.open) { state throws(Errno) in
      let node: Int
      switch purpose {
      case .creating:
        let (folder, name) = try state.place(of: path)
        guard state.disk.folders[folder]?[name] == nil else { throw Errno(EEXIST) }
        guard state.freeBytes > 0 else { throw Errno(ENOSPC) }
        node = state.make(name, in: folder, isFolder: false)
      case .updating:
        node = try state.node(at: path)
        guard state.disk.files[node] != nil else { throw Errno(EISDIR) }
      case .folder:
        node = try state.node(at: path)
        guard state.disk.folders[node] != nil else { throw Errno(ENOTDIR) }
      }
      state.openFiles.append(node)
      return state.newDescriptor(of: state.openFiles.count - 1)
    }
  }

  package func close(_ descriptor: Int32) throws(Errno) {
    try call(.close, descriptor) { state, file throws(Errno) in
      state.descriptors[descriptor] = nil
      guard !state.descriptors.values.contains(file) else { return }
      state.locks = state.locks.filter { $0.value != file }
    }
  }

  package func duplicate(_ descriptor: Int32) throws(Errno) -> Int32 {
    try call(.duplicate, descriptor) { state, file in state.newDescriptor(of: file) }
  }

  package func read(
    _ descriptor: Int32,
    into buffer: UnsafeMutableRawBufferPointer,
    at offset: Int
  ) throws(Errno) -> Int {
    nonisolated(unsafe) let buffer = buffer
    return try call(.read, descriptor) { state, file throws(Errno) in
      guard let bytes = state.disk.files[state.openFiles[file]] else { throw Errno(EISDIR) }
      let count = min(buffer.count, max(bytes.count - offset, 0), state.largestTransfer)
      buffer.copyBytes(from: bytes[min(offset, bytes.count)...].prefix(count))
      return count
    }
  }

  package func write(
    _ descriptor: Int32,
    _ bytes: UnsafeRawBufferPointer,
    at offset: Int
  ) throws(Errno) -> Int {
    let bytes = Array(bytes)
    return try call(.write, descriptor) { state, file throws(Errno) in
      let node = state.openFiles[file]
      let length = state.disk.files[node]?.count ?? 0
      let end = offset + min(bytes.count, state.largestTransfer)
      let room = state.freeBytes
      let reachable = end <= length || end - length <= room ? end : length + room
      guard reachable > offset || bytes.isEmpty else { throw Errno(ENOSPC) }
      state.apply(.write(node, offset: offset, Array(bytes.prefix(reachable - offset))))
      return reachable - offset
    }
  }

  package func truncate(_ descriptor: Int32, to byteCount: Int) throws(Errno) {
    try call(.truncate, descriptor) { state, file throws(Errno) in
      state.apply(.truncate(state.openFiles[file], to: byteCount))
    }
  }

  package func flush(_ descriptor: Int32) throws(Errno) {
    try call(.flush, descriptor) { state, file throws(Errno) in
      state.apply(.flush(state.openFiles[file], succeeded: true))
    }
  }

  package func lock(_ descriptor: Int32) throws(Errno) {
    try call(.lock, descriptor) { state, file throws(Errno) in
      guard !state.lacks.contains(.locks) else { throw Errno(ENOTSUP) }
      let node = state.openFiles[file]
      guard state.locks[node] ?? file == file else { throw Errno(EWOULDBLOCK) }
      state.locks[node] = file
    }
  }

  package func status(_ descriptor: Int32) throws(Errno) -> FileStatus {
    try call(.status, descriptor) { state, file in state.status(of: state.openFiles[file]) }
  }

  package func status(of path: String, followingLink: Bool) throws(Errno) -> FileStatus {
    try call(.status) { state throws(Errno) in state.status(of: try state.node(at: path)) }
  }

  package func makeFolder(_ path: String) throws(Errno) {
    try call(.makeFolder) { state throws(Errno) in
      let (folder, name) = try state.place(of: path)
      guard state.disk.folders[folder]?[name] == nil else { throw Errno(EEXIST) }
      guard state.freeBytes > 0 else { throw Errno(ENOSPC) }
      _ = state.make(name, in: folder, isFolder: true)
    }
  }

  package func rename(
    _ path: String,
    to target: String,
    _ manner: RenameManner
  ) throws(Errno) {
    try call(.rename) { state throws(Errno) in
      let node = try state.node(at: path)
      let (from, to) = (try state.place(of: path), try state.place(of: target))
      let there = state.disk.folders[to.folder]?[to.name]
      switch manner {
      case .exclusive:
        guard !state.lacks.contains(.exclusiveRename) else { throw Errno(ENOTSUP) }
        guard there == nil else { throw Errno(EEXIST) }
      case .exchanging:
        guard !state.lacks.contains(.exchange) else { throw Errno(ENOTSUP) }
        guard there != nil else { throw Errno(ENOENT) }
      case .replacing: if let there { try state.checkReplacing(there, by: node) }
      }
      state.apply(
        .rename([
          EntryChange(
            folder: from.folder,
            name: from.name,
            node: manner == .exchanging ? there : nil
          ), EntryChange(folder: to.folder, name: to.name, node: node),
        ])
      )
    }
  }

  package func link(_ path: String, to target: String) throws(Errno) {
    try call(.link) { state throws(Errno) in
      guard !state.lacks.contains(.links) else { throw Errno(ENOTSUP) }
      let node = try state.node(at: path)
      let (folder, name) = try state.place(of: target)
      guard state.disk.folders[folder]?[name] == nil else { throw Errno(EEXIST) }
      guard state.disk.files[node] != nil else { throw Errno(EPERM) }
      state.apply(.rename([EntryChange(folder: folder, name: name, node: node)]))
    }
  }

  package func removeFile(_ path: String) throws(Errno) {
    try call(.removeFile) { state throws(Errno) in
      guard state.disk.files[try state.node(at: path)] != nil else { throw Errno(EISDIR) }
      try state.remove(path)
    }
  }

  package func removeFolder(_ path: String) throws(Errno) {
    try call(.removeFolder) { state throws(Errno) in
      guard let entries = state.disk.folders[try state.node(at: path)] else { throw Errno(ENOTDIR) }
      guard entries.isEmpty else { throw Errno(ENOTEMPTY) }
      try state.remove(path)
    }
  }

  package func names(in path: String) throws(Errno) -> [String] {
    try call(.names) { state throws(Errno) in
      guard let entries = state.disk.folders[try state.node(at: path)] else { throw Errno(ENOTDIR) }
      return entries.keys.sorted()
    }
  }

  package func freeBytes(in path: String) throws(Errno) -> Int? {
    try call(.freeBytes) { state throws(Errno) in
      state.lacks.contains(.measuringRoom) ? nil : state.freeBytes
    }
  }

  // MARK: What all calls share

  private func call<Result: Sendable>(
    _ call: Call,
    _ body: (inout State) throws(Errno) -> Result
  ) throws(Errno) -> Result {
    try state.withLock { (state) throws(Errno) -> Result in
      let fault = state.beginCall(call)
      if case .refusal(let code)? = fault { throw Errno(code) }
      let result = try body(&state)
      if case .refusalAfterEffect(let code)? = fault { throw Errno(code) }
      return result
    }
  }

  private func call<Result: Sendable>(
    _ call: Call,
    _ descriptor: Int32,
    _ body: (inout State, Int) throws(Errno) -> Result
  ) throws(Errno) -> Result {
    try state.withLock { (state) throws(Errno) -> Result in
      let fault = state.beginCall(call)
      guard let file = state.descriptors[descriptor] else { throw Errno(EBADF) }
      if case .refusal(let code)? = fault {
        // What a signal interrupts did nothing. Anything else may have lost what was written
        // before, whatever a later flush says; names are kept until it comes.
        let node = state.openFiles[file]
        if code != EINTR, call == .flush || call == .close, state.disk.files[node] != nil {
          state.apply(.flush(node, succeeded: false))
        }
        // A descriptor that refuses to close is closed.
        if call == .close { _ = try body(&state, file) }
        throw Errno(code)
      }
      let result = try body(&state, file)
      if case .refusalAfterEffect(let code)? = fault { throw Errno(code) }
      return result
    }
  }
}
