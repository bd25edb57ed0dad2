import Foundation

/// How many bytes running models may hold at a time: parameters, the values of a run, and what is
/// kept between blocks.
public struct MemoryBudget: Sendable, Hashable {
  /// What the whole command may hold.
  public let total: Int
  /// What of it is left for the program itself, its tokenizer, and buffers of files.
  private let program: Int
  /// How many executors share the rest.
  private let parts: Int
  /// What one executor may hold.
  let bytes: Int

  /// A budget for one executor.
  public init(bytes: Int) {
    self.init(total: bytes, program: 0, parts: 1)
  }

  /// A budget for a whole process, in which the program itself has a place: an eighth, at most 64 MB.
  public static func process(bytes: Int) -> MemoryBudget {
    MemoryBudget(total: bytes, program: min(bytes / 8, mostOfProgram), parts: 1)
  }

  private static let mostOfProgram = 64_000_000

  private init(total: Int, program: Int, parts: Int) {
    self.total = total
    self.program = program
    self.parts = parts
    bytes = max((total - program) / max(parts, 1), 1)
  }

  /// Three quarters of the memory that the machine, or the group that the process runs in, has free.
  public static var machine: MemoryBudget {
    MemoryBudget(bytes: min(freeMemory ?? physicalMemory / 2, groupMemory ?? .max) / 4 * 3)
  }

  /// The part of each of so many executors that run side by side.
  public func divided(by count: Int) -> MemoryBudget {
    MemoryBudget(total: total, program: program, parts: parts * count)
  }

  /// What the values of one run may take; as many windows run together as fit.
  var values: Int { bytes / 4 }
  /// What is kept between blocks may take, before it goes to a file.
  var states: Int { bytes / 16 }
  /// What the scales of weights may take while these are rounded, before they go to a file.
  package var scales: Int { bytes / 64 }
  /// Room that parameters leave beside the values of a run: for states, for scales, and for pieces of
  /// tensors on their way from the file.
  var reserve: Int { bytes / 16 * 3 }
  /// Parameters beyond this are read slice by slice where an operation allows it.
  var largestParameter: Int { bytes / 4 }
  /// What one slice of them takes.
  var slice: Int { bytes / 8 }
  /// What a piece of a tensor on its way from the file takes.
  var piece: Int { min(max(bytes / 128, 1 << 16), 4 << 20) }

  /// Checks that there is room for what has to be in memory at a time.
  ///
  /// - Throws: `EngineError` saying how much is needed.
  package func require(_ needed: Int, for what: @autoclosure () -> String) throws(EngineError) {
    guard needed > bytes else { return }
    let (product, isTooLarge) = needed.multipliedReportingOverflow(by: parts)
    // Of what is to be allowed, the program has its eighth again.
    let own = program > 0 ? min(product / 7 + 1, Self.mostOfProgram) : 0
    let megabytes = ((isTooLarge ? Int.max - own : product) + own - 1) / 1_000_000 + 1
    throw EngineError(
      "\(what()) needs \(needed) bytes of memory at a time, and has \(bytes)"
        + (parts > 1 ? ", its part of \(total)" : "") + ". Allow more: --memory \(megabytes)MB."
    )
  }
}

extension MemoryBudget {
  private static var physicalMemory: Int {
    Int(clamping: ProcessInfo.processInfo.physicalMemory)
  }

  /// What the system says is free or can be freed; Linux says it.
  private static var freeMemory: Int? {
    guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
      let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return nil }
    let (bytes, isTooLarge) = kilobytes.multipliedReportingOverflow(by: 1024)
    return isTooLarge ? nil : bytes
  }

  /// What the control group of the process leaves, where it is limited.
  private static var groupMemory: Int? {
    func number(_ file: String) -> Int? {
      (try? String(contentsOfFile: "/sys/fs/cgroup/" + file, encoding: .utf8)).flatMap {
        Int($0.split(separator: "\n").first ?? "")
      }
    }
    return number("memory.max").map { max($0 - (number("memory.current") ?? 0), 1) }
  }
}
