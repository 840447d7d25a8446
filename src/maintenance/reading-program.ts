import { answerCheck, type CheckOrder } from "./check-child.js";
import { answerSalvage, type SalvageOrder } from "./salvage-child.js";

/** The order of a process that reads a file which may be damaged. */
export type ReadingOrder =
  | { readonly call: "check"; readonly order: CheckOrder }
  | { readonly call: "salvage"; readonly order: SalvageOrder };

// The program that `runReadingChild` starts; `runChild` gives it the order.
declare const order: ReadingOrder;

// CommonJS has no await here. A rejection ends the process, and its parent reports it.
void (order.call === "check" ? answerCheck(order.order) : answerSalvage(order.order));
