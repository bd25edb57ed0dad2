import Foundation
import KaratFuzzTargets

// karat-fuzz TARGET [libFuzzer's options] [files]: feeds a target for as long as the options say, or
// with files alone; karat-fuzz --list names the targets. scripts/fuzz builds and calls it.

/// The target of this process; libFuzzer's callback carries no context.
private enum Selection {
  nonisolated(unsafe) static var target: FuzzTarget?
}

/// The folder of the project.
private let project = URL(filePath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// Takes the target's name out of the command line, and puts what the target needs in its place.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>
) -> CInt {
  let given = CommandLine.arguments
  if given.dropFirst().first == "--list" {
    for target in FuzzTarget.all { print(target.name) }
    exit(0)
  }
  guard given.count > 1, let target = FuzzTarget.all.first(where: { $0.name == given[1] }) else {
    let names = FuzzTarget.all.map(\.name).joined(separator: ", ")
    FileHandle.standardError.write(Data("usage: karat-fuzz TARGET …; targets are \(names)\n".utf8))
    exit(64)
  }
  Selection.target = target
  // Options that are given count, since the last of a name does.
  var line = [given[0]] + options(of: target) + given.dropFirst(2)
  if given.dropFirst(2).allSatisfy({ $0.hasPrefix("-") }) { line += folders(of: target) }
  let copies = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: line.count + 1)
  for (index, argument) in line.enumerated() { copies[index] = strdup(argument) }
  copies[line.count] = nil
  arguments.pointee = copies
  count.pointee = CInt(line.count)
  return 0
}

/// Feeds the target.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  Selection.target?.run(UnsafeRawBufferPointer(start: bytes, count: count))
  return 0
}

private func options(of target: FuzzTarget) -> [String] {
  let failures = project.appending(path: "fixtures/fuzz/\(target.name)").path
  try? FileManager.default.createDirectory(atPath: failures, withIntermediateDirectories: true)
  // The process itself takes some 55 MB; a reader has 64 MB beside it.
  return [
    "-max_len=\(target.longestInput)", "-timeout=1", "-rss_limit_mb=128", "-print_final_stats=1",
    "-artifact_prefix=\(failures)/",
    "-dict=\(project.appending(path: "Fuzz/Dictionaries/\(target.name).dict").path)",
  ]
}

/// The folder that inputs worth keeping are put into, then those of the seeds.
private func folders(of target: FuzzTarget) -> [String] {
  let corpus = project.appending(path: ".build/fuzz/corpus/\(target.name)").path
  try? FileManager.default.createDirectory(atPath: corpus, withIntermediateDirectories: true)
  return [corpus] + target.seeds.map { project.appending(path: $0).path }
}
